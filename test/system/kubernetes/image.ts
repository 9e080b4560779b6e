import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { arch, tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

export type Image = {
  /** With the registry that the kubelet adds to a bare name: `docker.io/library/pause:test`. */
  readonly name: string
  /** Files of this machine, by their path in the image. What they are linked with is added. */
  readonly files: Readonly<Record<string, string>>
  readonly entrypoint: readonly string[]
}

/** Packs an OCI image with one layer, as `ctr images import` reads it. */
export function packImage({ name, files, entrypoint }: Image, archive: string): void {
  const work = mkdtempSync(join(tmpdir(), 'ciphertrail-image-'))
  try {
    const root = join(work, 'root')
    for (const [path, file] of Object.entries(files)) {
      copy(file, join(root, path))
      for (const library of librariesOf(file)) copy(library, join(root, library))
    }
    mkdirSync(join(root, 'tmp'), { recursive: true })
    const layout = join(work, 'layout')
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true })
    const put = (bytes: Buffer | string, mediaType: string) => {
      const digest = createHash('sha256').update(bytes).digest('hex')
      writeFileSync(join(layout, 'blobs/sha256', digest), bytes)
      return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(bytes) }
    }
    const type = 'application/vnd.oci.image'
    const tar = execFileSync('tar', ['--sort=name', '--mtime=@0', '--numeric-owner', '-C', root, '-c', '.'], {
      maxBuffer: 1024 * 1024 * 1024,
    })
    const layer = put(tar, `${type}.layer.v1.tar`)
    const platform = { os: 'linux', architecture: arch() === 'x64' ? 'amd64' : arch() }
    const config = put(
      JSON.stringify({
        ...platform,
        config: { Entrypoint: entrypoint },
        rootfs: { type: 'layers', diff_ids: [layer.digest] },
      }),
      `${type}.config.v1+json`,
    )
    const manifest = put(
      JSON.stringify({ schemaVersion: 2, mediaType: `${type}.manifest.v1+json`, config, layers: [layer] }),
      `${type}.manifest.v1+json`,
    )
    const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name }
    writeFileSync(
      join(layout, 'index.json'),
      JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, platform, annotations }] }),
    )
    writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
    execFileSync('tar', ['-C', layout, '-cf', archive, '.'])
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  writeFileSync(to, readFileSync(from), { mode: statSync(from).mode })
}

/** The shared libraries of a program, and what loads them; none of a static one. */
function librariesOf(program: string): string[] {
  if (!readFileSync(program).includes('/lib64/ld-linux') && !basename(program).endsWith('.so')) return []
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' })
  return [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].flatMap(([, file]) => file ?? [])
}
