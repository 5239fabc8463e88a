"""What `json.loads` makes of each file of a folder, as ProductBridge's framework tells it: null if it is JSON, else the message
and the position of the error, or "unreadable" for any other exception. One JSON object, by the files' names."""

import json
import pathlib
import sys

told = {}
for file in pathlib.Path(sys.argv[1]).iterdir():
    try:
        json.loads(file.read_bytes())
        told[file.name] = None
    except json.JSONDecodeError as error:
        told[file.name] = [error.msg, error.pos]
    except Exception:
        told[file.name] = "unreadable"
print(json.dumps(told))
