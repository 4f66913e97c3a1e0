// Small choices of a person that this browser remembers. It may refuse to remember anything.

export function kept(name: string): string | null {
  try {
    return localStorage.getItem(`finwise.${name}`)
  } catch {
    return null
  }
}

export function keep(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`finwise.${name}`)
    else localStorage.setItem(`finwise.${name}`, value)
  } catch {
    // Then it holds until the page is closed.
  }
}
