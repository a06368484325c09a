"""A client as somebody might write it on a Friday: no library, no signature verified, nothing remembered but what is installed.

It asks for the right files, follows the offer rule and compares digests; so it must pass the cases about offers, and fail those
about trust.
"""

import argparse
import hashlib
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

EXIT_CODES = {
    "SUCCESS": 0,
    "FAILURE_NETWORK_PROBLEM": 11,
    "FAILURE_DOWNLOADING": 12,
    "FAILURE_INTEGRITY": 16,
    "FAILURE_UNKNOWN": 17,
}
LONGEST = 5_000_000  # bytes of a document


class End(Exception):
    """The check ends so."""


class Check:
    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.base = f"{asked.at}/apps/{asked.app}/"
        self.file = Path(asked.device, "installed.json")
        self.key = f"{asked.platform}/{asked.app_version}"
        self.mine = [each for each in self.kept() if each["for"] == self.key]
        self.offered: int | None = None

    def kept(self) -> list:
        return json.loads(self.file.read_bytes()) if self.file.exists() else []

    @property
    def installed(self) -> int | None:
        return self.mine[-1]["release"] if self.mine else None

    def fetch(self, path: str, longest: int = LONGEST, start: int = 0) -> tuple[int, bytes]:
        request = urllib.request.Request(self.base + path, headers={"Range": f"bytes={start}-"} if start else {})
        with urllib.request.urlopen(request, timeout=10) as answer:
            if "html" in answer.headers.get("Content-Type", ""):
                raise End("FAILURE_NETWORK_PROBLEM")
            went_on = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if went_on or answer.status == 200:
                return (start if went_on else 0), answer.read(longest + 1)
        return self.fetch(path, longest)

    def document(self, path: str) -> dict:
        try:
            _, content = self.fetch(path)
        except urllib.error.URLError as exc:
            raise End("FAILURE_NETWORK_PROBLEM") from exc
        if len(content) > LONGEST:
            raise End("FAILURE_INTEGRITY")
        return json.loads(content)

    def role(self, name: str, version: int | None = None) -> dict:
        return self.document(f"metadata/{'' if version is None else f'{version}.'}{name}.json")["signed"]

    def run(self) -> str | None:
        snapshot = self.role("snapshot", self.role("timestamp")["meta"]["snapshot.json"]["version"])["meta"]
        targets = self.role("targets", snapshot["targets.json"]["version"])
        policy = targets["targets"]["policy.json"]["custom"]
        self.leave(policy["withdrawn"])
        path, entry = f"channels/{self.asked.platform}/{self.asked.channel}.json", None
        if "delegations" in targets:
            entry = self.role("channels", snapshot["channels.json"]["version"])["targets"].get(path)
        if entry is None:
            return "no_such_channel"
        stored = f"targets/channels/{self.asked.platform}/{entry['hashes']['sha256']}.{self.asked.channel}.json"
        return self.follow(self.document(stored), targets["targets"], policy)

    def leave(self, withdrawn: dict) -> None:
        self.left = self.installed is not None and str(self.installed) in withdrawn
        self.mine = [each for each in self.mine if str(each["release"]) not in withdrawn]
        self.save()

    def follow(self, channel: dict, targets: dict, policy: dict) -> str | None:
        entry = next((each for each in channel["entries"] if each["app_version"] == self.asked.app_version), None)
        if entry is None:
            return "no_release_for_app_version"
        if entry["paused"]:
            return "paused"
        number = entry["release"]
        bucket = int.from_bytes(hashlib.sha256(f"{self.asked.device_id}\n{number}".encode()).digest()[:8], "big")
        if bucket * 100 >= entry["rollout"] << 64 and number != self.installed:
            number = entry["otherwise"]
        if number is None:
            return "not_in_rollout"
        self.offered = number
        if str(number) in policy["withdrawn"]:
            return "withdrawn"
        target = targets[f"releases/{number}/bundle.zip"]
        if number == (self.installed or self.asked.shipped_release):
            return "already_installed"
        if self.asked.os_version and numbers(self.asked.os_version) < numbers(target["custom"]["minimum_os"]):
            return "os_too_old"
        if self.asked.shipped_release and number < self.asked.shipped_release:
            return "older_than_shipped"
        self.download(number, target)
        return None

    def download(self, number: int, target: dict) -> None:
        part, digest = Path(self.asked.device, "bundle.part"), target["hashes"]["sha256"]
        have = part.read_bytes() if part.exists() else b""
        try:
            start, more = self.fetch(f"targets/releases/{number}/{digest}.bundle.zip", target["length"], len(have))
        except urllib.error.HTTPError as exc:
            raise End("FAILURE_DOWNLOADING") from exc
        content = have[:start] + more
        part.write_bytes(content)
        if len(content) < target["length"]:
            raise End("FAILURE_DOWNLOADING")
        part.unlink()
        if hashlib.sha256(content).hexdigest() != digest:
            raise End("FAILURE_INTEGRITY")
        self.mine.append({"release": number, "for": self.key})
        self.save()

    def save(self) -> None:
        others = [each for each in self.kept() if each["for"] != self.key]
        self.file.write_text(json.dumps(others + self.mine))


def numbers(version: str) -> list[int]:
    return [int(part) for part in (version + ".0.0").split(".")[:3]]


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("at", "app", "app-version", "platform", "channel", "device", "root", "pin", "device-id", "os-version"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--shipped-release", type=int)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    Path(asked.device).mkdir(parents=True, exist_ok=True)
    check, reason = Check(asked), None
    try:
        reason, status = check.run(), "SUCCESS"
    except End as end:
        status = str(end)
    except (KeyError, ValueError, TypeError):
        status = "FAILURE_INTEGRITY"
    if status == "SUCCESS" and reason is not None and check.left:
        reason = "withdrawn"
    print(json.dumps({"status": status, "installed": check.installed, "offered": check.offered, "reason": reason}))
    return EXIT_CODES[status]


if __name__ == "__main__":
    sys.exit(main())
