"""Models that were really trained, on scikit-learn's digits; hands that spoil a saved file; an MLflow store."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mlpublish.coreml.package import read, specification
from mlpublish.coreml.schema import Message
from tests.loaded import imported_libraries_are_no_garbage as imported_libraries_are_no_garbage


@dataclass(frozen=True)
class Data:
    """Rows for training and held-out ones, 0 to 1; ``images`` are (rows, 1, 8, 8)."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray

    @property
    def images(self) -> np.ndarray:
        return self.test.reshape(-1, 1, 8, 8).astype(np.float32)


@pytest.fixture(scope="session")
def digits() -> Data:
    from sklearn.datasets import load_digits

    rows, labels = load_digits(return_X_y=True)
    rows /= 16
    return Data(train=rows[:1437], train_labels=labels[:1437], test=rows[1437:], test_labels=labels[1437:])


@pytest.fixture(scope="session")
def multinomial(digits):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(digits.train, digits.train_labels)


@pytest.fixture(scope="session")
def binary(digits):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression()).fit(digits.train, digits.train_labels % 2 == 1)


@pytest.fixture(scope="session")
def cnn(digits):
    """Two convolutions with batch norm and pools, two dense layers; a few epochs on the digits."""
    torch = pytest.importorskip("torch", reason="needs torch: pip install 'mlpublish[torch]'")
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.SiLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(64, 32), nn.GELU(), nn.Dropout(0.2), nn.Linear(32, 10)),
    )
    images = torch.from_numpy(digits.train.reshape(-1, 1, 8, 8).astype(np.float32))
    labels, optimizer = torch.from_numpy(digits.train_labels), torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(15):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
            optimizer.step()
    return net.eval()


@dataclass(frozen=True)
class Spoiler:
    """Edits a saved model where it lies; knows the file and nothing of the model it came from."""

    path: Path

    def edit(self, change: Callable[[Message], None]) -> None:
        spec = read(self.path)
        change(spec)
        specification(self.path).write_bytes(spec.SerializeToString())

    def operations(self, spec: Message) -> list[Message]:
        function = spec.mlProgram.functions["main"]
        return function.block_specializations[function.opset].operations

    def tensors(self, kind: str, parameter: str = "weight") -> list[str]:
        """The constants that operations of a kind read as a parameter, first layer first."""
        found = [each for each in self.operations(read(self.path)) if each.type == kind]
        return [each.inputs[parameter].arguments[0].name for each in found]

    def change(self, name: str, new: Callable[[np.ndarray], np.ndarray]) -> None:
        """Replace one constant's numbers, in the weight file or in the program."""

        def apply(spec: Message) -> None:
            (held,) = [
                each.attributes["val"]
                for each in self.operations(spec)
                if each.type == "const" and each.outputs[0].name == name
            ]
            shape = [each.constant.size for each in held.type.tensorType.dimensions]
            if held.WhichOneof("value") == "blobFileValue":
                self._rewrite(held.blobFileValue.offset, shape, new)
                return
            tensor = held.immediateValue.tensor
            if tensor.WhichOneof("value") == "bytes":
                old = np.frombuffer(tensor.bytes.values, np.float16).reshape(shape)
                tensor.bytes.values = new(old).astype(np.float16).tobytes()
            else:
                old = np.asarray(tensor.floats.values, np.float32).reshape(shape)
                tensor.floats.values[:] = new(old).reshape(-1).tolist()

        self.edit(apply)

    def _rewrite(self, offset: int, shape: list[int], new: Callable[[np.ndarray], np.ndarray]) -> None:
        file = specification(self.path).parent / "weights/weight.bin"
        data = bytearray(file.read_bytes())
        _, kind, length, start = struct.unpack_from("<IIQQ", data, offset)
        dtype = {1: np.float16, 2: np.float32}[kind]
        old = np.frombuffer(data[start : start + length], dtype).reshape(shape)
        data[start : start + length] = new(old).astype(dtype).tobytes()
        file.write_bytes(data)


@pytest.fixture
def spoil() -> type[Spoiler]:
    return Spoiler


def swap(values: np.ndarray) -> np.ndarray:
    """The first two of the first axis in each other's place."""
    return values[[1, 0, *range(2, len(values))]]


@pytest.fixture(scope="session")
def swapped() -> Callable[[np.ndarray], np.ndarray]:
    return swap


@pytest.fixture(scope="session")
def _store(tmp_path_factory, multinomial, digits) -> Path:
    """A SQLite store with a run and the registered model ``digits``, alias ``champion``."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        _point_mlflow_at(folder, patch)
        import mlflow

        client = mlflow.MlflowClient()
        experiment = client.create_experiment("tests", artifact_location=(folder / "artifacts").as_uri())
        with mlflow.start_run(experiment_id=experiment, tags={"mlflow.source.git.commit": "c0ffee"}):
            mlflow.log_param("C", 1.0)
            mlflow.log_input(mlflow.data.from_numpy(digits.train, name="digits"), context="training")
            logged = mlflow.sklearn.log_model(
                multinomial,
                name="model",
                registered_model_name="digits",
                input_example=digits.test[:20],
                pip_requirements=["scikit-learn"],
            )
            mlflow.log_metric("accuracy", 0.9375, model_id=logged.model_id)
        client.set_registered_model_alias("digits", "champion", 1)
    return folder


def _point_mlflow_at(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")


@pytest.fixture
def store(_store, monkeypatch) -> Path:
    """The store, and MLflow pointed at it for this test."""
    _point_mlflow_at(_store, monkeypatch)
    return _store
