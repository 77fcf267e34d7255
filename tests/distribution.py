"""What tests of distribution share: a job with its store, and the bytes that it must give."""

import datetime
import socket
from pathlib import Path

from tilesim.engine.job import Job, make_job
from tilesim.engine.work import Work, compute_here
from tilesim.kernels import library
from tilesim.store.create import Contents, create_store
from tilesim.store.place import normal_place

QUIET = ("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
"""Of dask's clusters, not of ours."""
BACKEND = "eager" if library.compiler() is None else "fused"
"""With the fused kernel workers load no torch, which takes longer than the tiles of these tests."""


def work(path, experiments, tile=(7, 11), known=False, **options) -> Work:
    """A job of some experiments and an empty store for it; with `known` the store may be there."""
    settings = {"precision": "mixed", "device": "cpu", "backend": BACKEND, **options}
    return stored(path, make_job(experiments, tile, **settings), known)


def stored(path, job: Job, known=False) -> Work:
    about = {"digest": "e" * 64, "job_digest": job.digest}
    contents = Contents(about, job.experiment.detector.panels[0].pixel_size)
    return Work(job, create_store(normal_place(path), job.plan, contents, resume=known), known)


def pixels(one: Work) -> dict:
    """The bytes of every tile that is stored, by its number; None where it is not."""
    read = ((number, one.store.read(tile)) for number, tile in enumerate(one.function.plan))
    return {number: values if values is None else values.tobytes() for number, values in read}


def expected(path, one: Work) -> dict:
    """The same as the in-process engine makes it."""
    here = stored(path, one.function)
    assert len(list(compute_here([here]))) == len(one.function.plan)
    return pixels(here)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def certificates(folder: Path) -> tuple[str, str, str]:
    """Authority, certificate and key for 127.0.0.1, good for a day."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.UTC)

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def signed(subject, public, issuer, by, authority):
        builder = x509.CertificateBuilder(name(issuer), name(subject), public, x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        return builder.add_extension(x509.BasicConstraints(authority, None), True).sign(by, hashes.SHA256())

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    parts = {
        "ca.pem": signed("test authority", root.public_key(), "test authority", root, True),
        "cert.pem": signed("test host", own.public_key(), "test authority", root, False),
    }
    for file, certificate in parts.items():
        (folder / file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(own.private_bytes(serialization.Encoding.PEM, form, plain))
    return tuple(str(folder / file) for file in ("ca.pem", "cert.pem", "key.pem"))


def session(leader: int) -> list[int]:
    """The processes of a session that are no zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, _, _, owner = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(owner) == leader and state != "Z":
                found.append(int(entry.name))
    return found
