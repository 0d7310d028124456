"""Turns constraints.tsv (argument 1) into a C table on standard output; see constraints.h."""
import sys

RULES = {"eq", "ge", "gt", "le", "lt", "not_in", "min_len", "max_len", "max_bytes", "min_items",
         "max_items", "header_name", "header_name_strict", "header_value", "header_value_strict",
         "required", "required_oneof"}

rows = [line.rstrip("\n").split("\t") for line in open(sys.argv[1], encoding="ascii")][1:]
if rows != sorted(rows):
    sys.exit(f"{sys.argv[1]}: not in order")
print("/* Made from constraints.tsv. */")
print('#include "xds/constraints.h"\n')
print("const struct constraint constraints[] = {")
for message, field, rule, value in rows:
    if rule not in RULES:
        sys.exit(f"{sys.argv[1]}: unknown rule {rule}")
    oneof = rule == "required_oneof"
    name, number, text = (value, 0, f'"{field}"') if oneof else (field, value or 0, "NULL")
    print(f'    {{ "{message}", "{name}", RULE_{rule.upper()}, {number}, {text} }},')
print("};\n")
print("const size_t constraints_count = sizeof(constraints) / sizeof(constraints[0]);")
