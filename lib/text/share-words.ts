/** `98.4 %`, rounded down, so that less than all never reads as 100 %, and more than nothing never as 0 %. */
export function shareWords(share: number): string {
  if (share >= 1) return '100 %'
  if (share <= 0) return '0 %'
  if (share < 0.001) return 'less than 0.1 %'
  // The tiny addend corrects the error of binary fractions (0.984 is 98.39999… %), and is far below a tenth of a percent.
  return `${Math.min(99.9, Math.floor(share * 1000 + 1e-9) / 10).toFixed(1)} %`
}

/** A wanted share as its author wrote it: `99 %`, `99.5 %`. */
export const wantedShareWords = (share: number): string => shareWords(share).replace('.0 %', ' %')
