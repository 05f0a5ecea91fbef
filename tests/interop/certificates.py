"""A certificate for 127.0.0.1, ::1 and localhost, made for the run of one case."""

import subprocess

from processes import need, workdir


def make(name="server", days=2, names="IP:127.0.0.1,IP:::1,DNS:localhost"):
    """(PEM file with certificate and key, PEM file to trust it by)."""
    key, cert, both = (workdir() / f"{name}.{x}" for x in ("key", "crt", "pem"))
    subprocess.run([need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-keyout", key, "-out", cert, "-days", str(days), "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName={names}"], check=True, stderr=subprocess.DEVNULL)
    both.write_text(cert.read_text() + key.read_text())
    both.chmod(0o600)
    return both, cert
