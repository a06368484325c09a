"""The model of docs/inspecting.md: a small network for pictures, as coremltools writes it, its larger weights in 4 bits."""

from __future__ import annotations

from pathlib import Path

from mlpublish.coreml.package import normalise


def photos(folder: Path) -> Path:
    """``photos.mlpackage`` in a folder."""
    import coremltools as ct
    import coremltools.optimize.coreml as optimize
    import torch

    torch.manual_seed(0)
    layers = torch.nn
    network = layers.Sequential(
        layers.Conv2d(3, 16, 3), layers.ReLU(), layers.Flatten(), layers.Linear(16 * 30 * 30, 10), layers.Softmax(dim=-1)
    )
    image = ct.ImageType(
        name="photo", shape=(1, 3, 32, 32), scale=1 / 127.5, bias=[-1, -1, -1], color_layout=ct.colorlayout.BGR
    )
    made = ct.convert(
        torch.jit.trace(network.eval(), torch.rand(1, 3, 32, 32)),
        inputs=[image],
        classifier_config=ct.ClassifierConfig(["ant", "bee", "cat", "dog", "eel", "fly", "gnu", "hen", "ibis", "jay"]),
        minimum_deployment_target=ct.target.iOS17,
        skip_model_load=True,
    )
    four_bits = optimize.OpPalettizerConfig(mode="uniform", nbits=4, weight_threshold=2048)
    made = optimize.palettize_weights(made, optimize.OptimizationConfig(global_config=four_bits))
    made.author, made.license, made.version = "Acme", "Apache-2.0", "3"
    path = folder / "photos.mlpackage"
    made.save(str(path))
    normalise(path)
    return path
