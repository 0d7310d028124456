"""Checks every field of src/xds/proto against the table of the public API's field numbers, types,
labels and oneofs (../shared/reference/xds-fields.tsv beside the source tree) and every enum value
against the list in xds.md there, and constraints.tsv against both. Says so and passes where the
tables are not at hand."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROTO = ROOT / "src/xds/proto"
TABLE = ROOT.parent / "shared/reference/xds-fields.tsv"
CONSTRAINTS = ROOT / "src/xds/constraints.tsv"
NOTES = ROOT.parent / "shared/reference/xds.md"
SCALARS = {"bool", "bytes", "double", "float", "string", "int32", "int64", "uint32", "uint64"}

FIELD = re.compile(r"(repeated )?(map<\w+, [\w.]+>|[\w.]+) (\w+) = (\d+)"
                   r"( \[deprecated = true\])?;$")


def parse(path):
    """The package, {message: {field: (number, type, repeated, oneof)}}, {enum: {name: number}}."""
    package, scope, messages, enums, oneof = "", [], {}, {}, ""
    for line in path.read_text().splitlines():
        line = line.split("//")[0].strip()
        if not line or line.startswith(("syntax", "import", "option")):
            continue
        if line.startswith("package "):
            package = line.split()[1].rstrip(";")
        elif m := re.match(r"(message|enum|oneof) (\w+) \{(\})?$", line):
            if m[1] == "oneof":
                oneof = m[2]
            elif m[3]:
                messages[".".join([package, *scope, m[2]])] = {}
                continue
            else:
                (messages if m[1] == "message" else enums)[".".join([package, *scope, m[2]])] = {}
            scope.append(m[2])
        elif line == "}":
            if scope.pop() == oneof:
                oneof = ""
        elif m := re.match(r"(\w+) = (\d+);$", line):
            enums[".".join([package, *scope])][m[1]] = int(m[2])
        elif m := FIELD.match(line):
            owner = ".".join([package, *(scope[:-1] if oneof else scope)])
            messages[owner][m[3]] = (int(m[4]), m[2], bool(m[1]), oneof)
        else:
            raise SystemExit(f"{path}: cannot read: {line}")
    return package, messages, enums


def resolve(name, owner, package, known):
    """The full name of a type as protoc finds it: innermost scope first."""
    if m := re.match(r"map<(\w+), ([\w.]+)>$", name):
        return f"map<{m[1]},{resolve(m[2], owner, package, known)}>"
    if name in SCALARS:
        return name
    scope = owner.split(".")
    while scope:
        full = ".".join([*scope, name])
        if full in known:
            return full
        scope.pop()
    return name


def read_table():
    table = {}
    for line in TABLE.read_text().splitlines()[1:]:
        _, _, message, field, number, kind, label, oneof, *_ = line.split("\t")
        fields = table.setdefault(message, {})
        if number:
            fields[field] = (int(number), kind, label == "repeated", oneof.rstrip("*"))
    return table


def read_enums():
    text = NOTES.read_text()
    prefixes = dict(re.findall(r"^\| `([a-z]+[.:])` \| `([a-z0-9_.]+)` \|$", text, re.M))
    enums = {}
    rows = re.findall(r"^\| (\S+) \| (\S+=\d.*) \|$", text[text.index("### A.13"):], re.M)
    for name, values in rows:
        for short in sorted(prefixes, key=len, reverse=True):
            if name.startswith(short):
                name = prefixes[short] + "." + name[len(short):]
                break
        enums[name] = {k: int(v) for k, v in (p.strip().split("=") for p in values.split(","))}
    return enums


SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
WORDS = {"required": "required", "eq": "=true", "header_name": "header-name (non-strict)",
         "header_name_strict": "header-name", "header_value": "header-value (non-strict)",
         "header_value_strict": "header-value"}


def check_constraints(messages):
    """Each row of constraints.tsv names a field there is; outside weft.* the table has it too."""
    facts = {}
    if TABLE.exists():
        for line in TABLE.read_text().splitlines()[1:]:
            cells = line.split("\t")
            facts[cells[2], cells[3]] = (cells[9], cells[7])
    for line in CONSTRAINTS.read_text().splitlines()[1:]:
        message, field, rule, value = line.split("\t")
        oneof = rule == "required_oneof"
        member = value if oneof else field
        if member not in messages.get(message, {}):
            yield f"constraints.tsv: {message} has no field {member}"
        elif facts and not message.startswith("weft."):
            said, its_oneof = facts[message, member]
            word = WORDS.get(rule, f"{rule} {value}")
            if rule in SIGNS:
                word = SIGNS[rule] + value
            elif rule == "not_in":
                word = f"not_in [{value}]"
            words = re.split(r", (?![^\[]*\])", said)
            words = [w.rstrip("s") if w[:1] in "<>" else w for w in words]
            if oneof and its_oneof != field + "*" or not oneof and word not in words:
                yield f"constraints.tsv: {message}.{field}: {rule} {value}: the table says {said}"


def main():
    parsed = [parse(path) for path in sorted(PROTO.rglob("*.proto"))]
    problems = list(check_constraints({k: v for _, m, _ in parsed for k, v in m.items()}))
    if problems:
        print("\n".join(problems))
        return 1
    if not TABLE.exists() or not NOTES.exists():
        print(f"skipped: no {TABLE}")
        return 0
    known = {name for _, messages, enums in parsed for name in [*messages, *enums]}
    table, enum_table = read_table(), read_enums()
    problems, fields_seen = [], 0
    for package, messages, enums in parsed:
        if package.startswith(("weft", "google.protobuf")):
            continue
        for message, fields in messages.items():
            if message not in table:
                problems.append(f"{message}: not in the table")
                continue
            for name, (number, kind, repeated, oneof) in fields.items():
                fields_seen += 1
                ours = (number, resolve(kind, message, package, known), repeated, oneof)
                theirs = table[message].get(name)
                if ours != theirs:
                    problems.append(f"{message}.{name}: {ours}, the table has {theirs}")
        for enum, values in enums.items():
            if enum_table.get(enum) != values:
                problems.append(f"{enum}: {values}, the list has {enum_table.get(enum)}")
    print("\n".join(problems) or f"{fields_seen} fields agree")
    if fields_seen < 700:
        problems.append("too few fields read")
    return 1 if problems else 0


sys.exit(main())
