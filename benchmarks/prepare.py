"""Make the peers' models from one Hugging Face folder, each in its best form.

::

    python -m benchmarks.prepare MODEL_DIR OUT_DIR TEXTS [--shape bert-base]

What is made depends on what is installed; the rest is named and left out, and what OUT_DIR already has is kept. So
it may be run once from each of two environments: the export to ONNX needs transformers before 5, which newer peers
may not install beside them.

============================  ==============================================================  ====================
``source/``                   the folder itself, or with --shape random weights of that size  numpy, safetensors
``model.onnx``                the plain export                                                torch, transformers<5
``ort_fp32.onnx``             fused for ONNX Runtime                                          onnxruntime, onnx
``ort_int8.onnx``             fused, dynamic int8 per channel, weights of 7 bits, which do    the same
                              not saturate without VNNI
``ort_int8_full.onnx``        the same with weights of 8 bits, the best form with VNNI        the same
``openvino_int8.xml``         static int8 by NNCF, SmoothQuant, calibrated on TEXTS           openvino, nncf
``ctranslate2/``              int8 is chosen when it is loaded                                ctranslate2
============================  ==============================================================  ====================
"""

from __future__ import annotations

import argparse
import inspect
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.texts import read_texts

CALIBRATION_TEXTS = 150
CALIBRATION_TOKENS = 256


def export_onnx(source: Path, out: Path) -> None:
    """Trace the model with torch."""
    import torch
    import transformers

    if int(transformers.__version__.split(".")[0]) >= 5:
        raise ImportError(f"transformers {transformers.__version__} cannot be traced, it takes transformers<5")
    model = transformers.AutoModel.from_pretrained(source, attn_implementation="eager").eval()
    taken = inspect.signature(model.forward).parameters
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in taken]
    ids = torch.randint(1, model.config.vocab_size, (2, 9))
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    torch.onnx.export(
        model,
        tuple(given[name] for name in names),
        str(out),
        input_names=names,
        output_names=["last_hidden_state"],
        dynamic_axes={name: {0: "batch", 1: "sequence"} for name in [*names, "last_hidden_state"]},
        opset_version=14,
        dynamo=False,
    )


def fuse(model: Path, out: Path) -> None:
    """Let ONNX Runtime's own tool merge attention, LayerNorm and GELU into single operators.

    It knows a BERT's attention; of other families the runtime merges what it can when it loads them.
    """
    from onnxruntime.transformers import optimizer

    config = json.loads((model.parent / "source" / "config.json").read_text("utf-8"))
    if config["model_type"] != "bert":
        shutil.copyfile(model, out)
        return
    fused = optimizer.optimize_model(
        str(model),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        opt_level=0,
    )
    fused.save_model_to_file(str(out))


def quantize_onnx_reduced(fused: Path, out: Path) -> None:
    """Quantize with weights of 7 bits."""
    _quantize_onnx(fused, out, reduce_range=True)


def quantize_onnx_full(fused: Path, out: Path) -> None:
    """Quantize with weights of 8 bits."""
    _quantize_onnx(fused, out, reduce_range=False)


def _quantize_onnx(fused: Path, out: Path, *, reduce_range: bool) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        fused,
        out,
        per_channel=True,
        reduce_range=reduce_range,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


def quantize_openvino(plain: Path, out: Path, texts: list[str]) -> None:
    """Quantize weights and activations with NNCF, calibrated on real texts."""
    import nncf
    import numpy as np
    import openvino
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(plain.parent / "source" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(CALIBRATION_TOKENS)
    model = openvino.Core().read_model(plain)
    taken = {name for each in model.inputs for name in each.get_names()}

    def features(text: str) -> dict[str, np.ndarray]:
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        return {name: array for name, array in given.items() if name in taken}

    # Texts from all over the file: neighbours are often alike.
    chosen = texts[:: max(1, len(texts) // CALIBRATION_TEXTS)][:CALIBRATION_TEXTS]
    quantized = nncf.quantize(
        model,
        nncf.Dataset(chosen, features),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(chosen),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=0.95)
        ),
    )
    openvino.save_model(quantized, str(out))


def convert_ctranslate2(source: Path, out: Path) -> None:
    """Convert the weights as they are."""
    import ctranslate2

    ctranslate2.converters.TransformersConverter(str(source)).convert(str(out), force=True)


def prepare(out_dir: Path, texts: list[str]) -> None:
    """Make every peer's model that is missing and can be made here, saying what becomes of each.

    Parameters
    ----------
    out_dir : Path
        With a Hugging Face folder as ``source`` in it.
    texts : list of str
        For calibration.
    """

    def calibrate_openvino(plain: Path, out: Path) -> None:
        quantize_openvino(plain, out, texts)

    steps: list[tuple[str, str, Callable[[Path, Path], None]]] = [
        ("model.onnx", "source", export_onnx),
        ("ort_fp32.onnx", "model.onnx", fuse),
        ("ort_int8.onnx", "ort_fp32.onnx", quantize_onnx_reduced),
        ("ort_int8_full.onnx", "ort_fp32.onnx", quantize_onnx_full),
        ("openvino_int8.xml", "model.onnx", calibrate_openvino),
        ("ctranslate2", "source", convert_ctranslate2),
    ]
    for name, origin, make in steps:
        if (out_dir / name).exists():
            print(f"{name}: kept", flush=True)
            continue
        if not (out_dir / origin).exists():
            print(f"{name}: left out, {origin} is not there to make it from", flush=True)
            continue
        start = time.perf_counter()
        try:
            make(out_dir / origin, out_dir / name)
        except ImportError as error:
            print(f"{name}: left out, {error}", flush=True)
        except Exception as error:  # a peer that does not know a family says so in ways of its own
            print(f"{name}: cannot be made, {error!r:.200}", flush=True)
            _remove(out_dir / name)
        except BaseException:
            # What is half made must not be kept by the next run.
            _remove(out_dir / name)
            raise
        else:
            print(f"{name}: made in {time.perf_counter() - start:.0f} s", flush=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main() -> None:
    """Put the source folder into OUT_DIR, and make the models beside it."""
    from benchmarks.random_bert import write_random_bert
    from benchmarks.shapes import SHAPES

    parser = argparse.ArgumentParser(description="Make the peers' models from one Hugging Face folder.")
    parser.add_argument("model_dir", type=Path, help="a Hugging Face folder; with --shape, of whose tokenizer alone")
    parser.add_argument("out_dir", type=Path, help="where the models go, and a copy of the folder")
    parser.add_argument("texts", type=Path, help="texts to calibrate with: one a line, or a csv of pairs")
    parser.add_argument("--shape", choices=SHAPES, help="random weights of this size instead of the folder's own")
    args = parser.parse_args()
    source = args.out_dir / "source"
    if not source.exists():
        if args.shape:
            write_random_bert(source, SHAPES[args.shape], args.model_dir)
        else:
            shutil.copytree(args.model_dir, source)
    prepare(args.out_dir, read_texts(args.texts).texts)


if __name__ == "__main__":
    main()
