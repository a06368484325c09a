"""From verified bytes to the model in use: unpacked beside the current one, asked its golden questions, then swapped in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlpublish.checking.play import Play
from mlpublish.checking.self_test import self_test
from mlpublish.checking.state import Installed
from mlpublish.formats.manifest import Manifest


def install(play: Play, new: Installed, unpack: Callable[[Path], Manifest | None]) -> None:
    """Make a release the one in use, or leave everything as it is.

    Args:
        unpack: writes the release's files into the new folder that it is given, and verifies them; gives back their
            manifest, if they have one.

    Raises:
        DeviceFailure: INTEGRITY if a model answers otherwise than its golden data says, CANCELED.
    """
    with play.device.incoming(new) as folder:
        with play.phase("unzip"):
            manifest = unpack(folder)
        if play.asked.self_test and manifest is not None:
            with play.phase("self-test"):
                self_test(play, folder, manifest)
        with play.phase("swap"):
            play.device.take(new, folder)
