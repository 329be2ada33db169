"""Judges manifests by the JSON Schemas, with validators nobody here wrote: PyPI `jsonschema` and `pyyaml`.

    judge_schemas.py SCHEMAS GOOD BAD

Every document below GOOD must be valid by its kind's schema and by manifest.json; every document below BAD must be
invalid by both. Exit 0: so it is; 1: it is not; 77: a module is missing, nothing was judged.
"""

import json
import pathlib
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"python module not installed: {missing.name} (pip install jsonschema pyyaml)")
    sys.exit(77)

FILES = {"Tier": "tier", "InstanceType": "instance-type", "VirtualMachine": "virtual-machine"}


def validator(schemas, name):
    schema = json.loads((schemas / f"{name}.json").read_text())
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def documents(folder):
    for path in sorted(folder.rglob("*.yaml")):
        for number, document in enumerate(yaml.safe_load_all(path.read_text()), 1):
            if document is not None:
                yield f"{path}#{number}", document


def main(schemas, good, bad):
    any_kind = validator(schemas, "manifest")
    by_kind = {kind: validator(schemas, name) for kind, name in FILES.items()}
    wrong, judged = [], {True: 0, False: 0}
    for folder, expected in ((good, True), (bad, False)):
        for place, document in documents(folder):
            judged[expected] += 1
            validators = [any_kind]
            if isinstance(document, dict) and document.get("kind") in by_kind:
                validators.append(by_kind[document["kind"]])
            for judge in validators:
                errors = [error.message for error in judge.iter_errors(document)]
                if expected and errors:
                    wrong.append(f"{place} should be valid: {errors[0][:300]}")
                if not expected and not errors:
                    wrong.append(f"{place} should be invalid by {judge.schema.get('title')}")
    print("\n".join(wrong) or f"{judged[True]} good and {judged[False]} bad documents judged rightly")
    return 1 if wrong or judged[True] < 10 or judged[False] < 25 else 0


if __name__ == "__main__":
    sys.exit(main(*map(pathlib.Path, sys.argv[1:4])))
