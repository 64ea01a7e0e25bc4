"""Certificates made for a test: an authority, and what it signs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Authority:
    """A certificate authority. Its files are in a directory of its own, `ca.pem` among them."""

    directory: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def file(self) -> Path:
        """The path of its own certificate."""
        return self.directory / "ca.pem"

    def signed(self, name: str) -> tuple[Path, Path]:
        """Return the files of a certificate with the name of a host or user, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        host = x509.SubjectAlternativeName([x509.DNSName(name)])
        made = _certificate(name, self.certificate.subject, key).add_extension(host, critical=False)
        certificate, secret = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        certificate.write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        secret.chmod(0o600)
        return certificate, secret


def authority(directory: Path) -> Authority:
    """Make a new authority with the name of its directory."""
    directory.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    made = _certificate(directory.name, _named(directory.name), key)
    signing = x509.BasicConstraints(ca=True, path_length=None)
    found = Authority(directory, key, made.add_extension(signing, critical=True).sign(key, hashes.SHA256()))
    found.file.write_bytes(found.certificate.public_bytes(Encoding.PEM))
    return found


def _certificate(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=_named(name),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(hours=1),
        not_valid_after=now + timedelta(days=1),
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
