#!/usr/bin/env python3
"""Takes exporters' notes (stack traces with paths, documentation strings) out of models; names stay: strip.py model.onnx... Needs the package onnx."""
import sys

import onnx
from google.protobuf.message import Message


def strip(message):
    """Clears metadata_props and doc_string here and in every message inside."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type:
            for part in [value] if isinstance(value, Message) else value:
                strip(part)


if __name__ == "__main__":
    for path in sys.argv[1:]:
        model = onnx.load(path, load_external_data=False)
        strip(model)
        with open(path, "wb") as f:
            f.write(model.SerializeToString(deterministic=True))
