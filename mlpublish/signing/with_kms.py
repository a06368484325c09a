"""Sign with a key in AWS KMS (``awskms:`` and a key id, ARN, ``alias/NAME`` or alias ARN).

Credentials are boto3's (environment, profile, role); the key needs ``kms:GetPublicKey`` and ``kms:Sign``. A payload of up to
4096 bytes goes to KMS as it is; of a longer one only its digest does (KMS API, Sign, MessageType).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from securesystemslib.signer import SSlibKey

from mlpublish.errors import MissingExtra, SigningError
from mlpublish.formats.key_uri import KeyUri
from mlpublish.signing.checked import CheckedSigner
from mlpublish.trust import keys
from mlpublish.trust.signer import Signer

if TYPE_CHECKING:
    from botocore.client import BaseClient

LONGEST_RAW = 4096  # bytes
_CONNECT_SECONDS = 10
_ALGORITHMS = {"ecdsa-sha2-nistp256": "ECDSA_SHA_256", "rsa-pkcs1v15-sha256": "RSASSA_PKCS1_V1_5_SHA_256"}


def open_kms(uri: str) -> Signer:
    """Open one asymmetric key of AWS KMS.

    Args:
        uri: ``awskms:KEY``, with ``?region=`` where neither an ARN nor the environment says it.

    Raises:
        SigningError: there is no such key, it may not be used, or it is of a kind not taken.
        MissingExtra: boto3 is not installed.
    """
    where = KeyUri.parse(uri).only("region")
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as exc:
        raise MissingExtra("awskms: keys need boto3.", remedy="Run pip install 'mlpublish[kms]'.") from exc
    parts = where.path.split(":")  # arn:aws:kms:REGION:ACCOUNT:key/ID
    region = where.query.get("region") or (parts[3] if parts[0] == "arn" and len(parts) > 3 else None)
    try:
        client = boto3.client("kms", region_name=region, config=Config(connect_timeout=_CONNECT_SECONDS))
        answer = client.get_public_key(KeyId=where.path)
    except (BotoCoreError, ClientError, ValueError) as exc:
        raise _refused(where.path, exc) from exc
    return KmsSigner(client, where.path, _public_key(where.path, answer))


class KmsSigner(CheckedSigner):
    """Signs with a key that never leaves AWS KMS."""

    def __init__(self, client: BaseClient, key_id: str, public: SSlibKey) -> None:
        super().__init__(public, f"AWS KMS (key {key_id})")
        self._client, self._key_id = client, key_id

    def sign_payload(self, payload: bytes) -> bytes:
        return self._asked(payload, "RAW") if len(payload) <= LONGEST_RAW else super().sign_payload(payload)

    def sign_hashed(self, digest: bytes) -> bytes:
        return self._asked(digest, "DIGEST")

    def _asked(self, message: bytes, kind: str) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        algorithm = _ALGORITHMS[self.public_key.scheme]
        try:
            answer = self._client.sign(KeyId=self._key_id, Message=message, MessageType=kind, SigningAlgorithm=algorithm)
        except (BotoCoreError, ClientError) as exc:
            raise _refused(self._key_id, exc) from exc
        return bytes(answer["Signature"])


def _public_key(key_id: str, answer: dict[str, Any]) -> SSlibKey:
    try:
        public = keys.public_key(load_der_public_key(answer["PublicKey"]))
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise SigningError(
            f"The public half of the KMS key {key_id} cannot be read.", remedy="Use a key of ECC_NIST_P256 or RSA.", field="key"
        ) from exc
    wanted = _ALGORITHMS.get(public.scheme, public.scheme)
    if wanted not in answer.get("SigningAlgorithms", ()):
        raise SigningError(
            f"The KMS key {key_id} does not sign with {wanted}.",
            remedy="Make a key of spec ECC_NIST_P256, or RSA_3072, with usage SIGN_VERIFY.",
            field="key",
        )
    return public


def _refused(key_id: str, exc: Exception) -> SigningError:
    return SigningError(
        f"AWS KMS did not give the key {key_id}: {exc}".rstrip(".") + ".",
        remedy="Check the key's name, the region (AWS_REGION or ?region=), the credentials, and that they may use "
        "kms:GetPublicKey and kms:Sign.",
        field="key",
    )
