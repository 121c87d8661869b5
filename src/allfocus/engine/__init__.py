"""What runs a network on a tile: one contract, one file per engine, and the choice between them."""

import sys

# OpenVINO's telemetry reports every import to a web analytics service, from a forked process that can hang: without the
# package that sends, OpenVINO uses its own silent stand-in
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
