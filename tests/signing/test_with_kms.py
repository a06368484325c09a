"""AWS KMS, against moto (another's KMS in this process) and against a small one over HTTP that can be made to lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mlpublish.errors import SigningError
from mlpublish.trust.keys import crypto_key, public_key
from mlpublish.trust.signer import signer_for
from tests import keystores

HELD = {"EC": ec.generate_private_key(ec.SECP256R1()), "RSA": rsa.generate_private_key(65537, 2048)}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    keystores.needs_module("boto3", "boto3: pip install 'mlpublish[kms]'")
    for name, value in {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "key", "DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.fixture
def client() -> Iterator[Any]:
    """moto's KMS, as boto3 sees it."""
    moto = keystores.needs_module("moto", "moto: pip install 'mlpublish[test]'")
    import boto3

    with moto.mock_aws():
        yield boto3.client("kms")


def created(client: Any, spec: str, usage: str = "SIGN_VERIFY") -> dict[str, str]:
    made: dict[str, str] = client.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
    return made


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048", "RSA_4096"])
def test_a_key_is_named_by_id_arn_or_alias(client: Any, spec: str) -> None:
    made = created(client, spec)
    client.create_alias(AliasName="alias/release", TargetKeyId=made["KeyId"])
    for name in (made["KeyId"], made["Arn"], "alias/release"):
        signer = signer_for(f"awskms:{name}")
        signer.public_key.verify_signature(signer.sign(bytes(4096)), bytes(4096))


def test_an_arn_brings_its_region(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = created(client, "ECC_NIST_P256")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    signer_for(f"awskms:{made['Arn']}").sign(b"payload")
    signer_for(f"awskms:{made['KeyId']}?region=eu-central-1").sign(b"payload")
    with pytest.raises(SigningError, match="region"):
        signer_for(f"awskms:{made['KeyId']}")


def test_moto_hashes_a_digest_again_and_that_wrong_answer_goes_nowhere(client: Any) -> None:
    """moto ignores ``MessageType=DIGEST``; AWS does not. If this fails, moto was corrected: let it sign long payloads too."""
    made = created(client, "RSA_2048")
    signer = signer_for(f"awskms:{made['KeyId']}")
    with pytest.raises(SigningError, match="does not verify; it is not used"):
        signer.sign(bytes(4097))
    digest = hashlib.sha256(bytes(4097)).digest()
    raw = client.sign(KeyId=made["KeyId"], Message=digest, MessageType="DIGEST", SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256")[
        "Signature"
    ]
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    crypto_key(signer.public_key).verify(raw, digest, PKCS1v15(), SHA256())  # what it signed: the digest, hashed once more


@pytest.mark.parametrize(
    ("spec", "usage", "named"),
    [
        ("ECC_NIST_P384", "SIGN_VERIFY", "384 bits"),
        ("ECC_SECG_P256K1", "SIGN_VERIFY", "secp256k1"),
        ("RSA_2048", "ENCRYPT_DECRYPT", "does not sign"),
    ],
)
def test_a_key_of_another_kind_or_use_is_refused(client: Any, spec: str, usage: str, named: str) -> None:
    with pytest.raises(SigningError, match=named):
        signer_for(f"awskms:{created(client, spec, usage)['KeyId']}")


@pytest.mark.usefixtures("client")
def test_a_key_that_is_not_there_is_told_with_what_kms_said() -> None:
    with pytest.raises(SigningError, match="NotFoundException") as caught:
        signer_for("awskms:alias/none")
    assert "kms:GetPublicKey" in caught.value.remedy


@pytest.fixture(params=HELD)
def served(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[keystores.Kms]:
    with keystores.kms(HELD[request.param]) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", running.url)
        yield running


def test_up_to_4096_bytes_kms_sees_the_payload_and_beyond_only_its_digest(served: keystores.Kms) -> None:
    signer = signer_for("awskms:alias/release")
    for size in (0, 4096, 4097, 1 << 20):
        signer.public_key.verify_signature(signer.sign(bytes(size)), bytes(size))
    assert served.asked == ["RAW", "RAW", "DIGEST", "DIGEST"]
    assert signer.public_key.keyid == public_key(served.key.public_key()).keyid


@pytest.mark.parametrize("size", [4096, 4097])
def test_a_signature_over_something_else_never_leaves(served: keystores.Kms, size: int) -> None:
    signer = signer_for("awskms:alias/release")
    served.wrong = True
    with pytest.raises(SigningError, match="does not verify"):
        signer.sign(bytes(size))


def test_a_kms_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SigningError, match=r"127\.0\.0\.1:9"):
        signer_for("awskms:alias/release")
