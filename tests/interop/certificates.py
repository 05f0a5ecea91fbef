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


def make_expired(name="expired"):
    """The PEM file of one that was good until 2021."""
    key, request, cert, both, config = (workdir() / f"{name}.{x}" for x in ("key", "csr", "crt", "pem", "conf"))
    (workdir() / f"{name}.index").write_text("")
    config.write_text(f"[ca]\ndefault_ca = it\n[it]\ndatabase = {workdir()}/{name}.index\nnew_certs_dir = {workdir()}\n"
                      "rand_serial = yes\ndefault_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n"
                      "[req]\ndistinguished_name = none\n[none]\n")
    for words in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
                   request, "-subj", f"/CN={name}"],
                  ["ca", "-selfsign", "-batch", "-notext", "-keyfile", key, "-in", request, "-out", cert, "-startdate",
                   "20200101000000Z", "-enddate", "20210101000000Z"]):
        subprocess.run([need("openssl"), *words, "-config", config], check=True, capture_output=True)
    both.write_text(cert.read_text() + key.read_text())
    both.chmod(0o600)
    return both
