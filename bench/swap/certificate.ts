// A key and a certificate for the https app, good for this run.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Paths of PEM files. */
export interface Certificate {
  readonly key: string
  readonly cert: string
}

export function makeCertificate(folder: string): Certificate {
  const [key, cert] = [join(folder, 'tls-key.pem'), join(folder, 'tls-cert.pem')]
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', [...made, '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { key, cert }
}
