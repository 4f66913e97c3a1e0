// A photo becomes a small picture, here in the browser: the server takes 100 KiB and no more.

export type ImageProblem = "unreadable" | "too_big"

export class ImageFailure extends Error {
  constructor(readonly problem: ImageProblem) {
    super(problem)
  }
}

/** The bytes of the picture itself; base64 makes them a third more. */
const IMAGE_MAX_BYTES = 100 * 1024
const SIDES_PX = [384, 256, 160, 96]
const QUALITIES = [0.86, 0.7, 0.5]

/**
 * A data URL of at most IMAGE_MAX_BYTES: a square, as large and as good as goes.
 *
 * Throws ImageFailure.
 */
export async function scaledDown(file: Blob): Promise<string> {
  let bitmap: ImageBitmap
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" })
  } catch {
    throw new ImageFailure("unreadable")
  }
  try {
    for (const side of SIDES_PX) {
      const canvas = squareOf(bitmap, side)
      for (const quality of QUALITIES) {
        const blob = await encoded(canvas, quality)
        if (blob !== null && blob.size <= IMAGE_MAX_BYTES) return await dataUrl(blob)
      }
    }
  } finally {
    bitmap.close()
  }
  throw new ImageFailure("too_big")
}

/** The middle of it. */
function squareOf(bitmap: ImageBitmap, side: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas")
  const cut = Math.min(bitmap.width, bitmap.height)
  canvas.width = canvas.height = Math.min(side, cut)
  const context = canvas.getContext("2d")
  if (context === null) throw new ImageFailure("unreadable")
  context.imageSmoothingQuality = "high"
  const [left, top] = [(bitmap.width - cut) / 2, (bitmap.height - cut) / 2]
  context.drawImage(bitmap, left, top, cut, cut, 0, 0, canvas.width, canvas.height)
  return canvas
}

/** WebP keeps transparency; a browser that cannot write it gives PNG, which the server takes too. */
function encoded(canvas: HTMLCanvasElement, quality: number): Promise<Blob | null> {
  return new Promise((resolve) => {
    canvas.toBlob(resolve, "image/webp", quality)
  })
}

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => {
      resolve(reader.result as string)
    }
    reader.onerror = () => {
      reject(new ImageFailure("unreadable"))
    }
    reader.readAsDataURL(blob)
  })
}
