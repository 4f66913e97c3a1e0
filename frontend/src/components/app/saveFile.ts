/** Give the person a file, as a download. */
export function saveFile(content: Blob, name: string): void {
  const url = URL.createObjectURL(content)
  const link = document.createElement("a")
  link.href = url
  link.download = name.replace(/[\\/:*?"<>|]/g, "-")
  link.click()
  // The browser reads it a moment later.
  setTimeout(() => {
    URL.revokeObjectURL(url)
  }, 60_000)
}
