// Names for what is on its way to its own name: files, folders and sockets beside those of other processes, also in other
// containers, whose process ids may be the same.

/** Unlike any other, and no secret: an idle agent has not loaded node:crypto, which costs 2 MB and 6 ms. */
export function uniqueName(): string {
  return `${randomPart()}${randomPart()}`
}

/** 52 bits: V8 seeds Math.random with the kernel's entropy in each process. */
function randomPart(): string {
  return Math.floor(Math.random() * 2 ** 52)
    .toString(16)
    .padStart(13, '0')
}
