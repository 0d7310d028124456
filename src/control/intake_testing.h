/* For tests: a YAML text in, its findings as lines out. */
#pragma once

#include "control/intake.h"

/* Findings of a file "f.yaml", into a static text. */
static inline const char *findings_of(const char *yaml)
{
    static struct buffer out;
    struct intake *intake = intake_read(TEXT("f.yaml"), text_from_string(yaml), FORMAT_YAML, NULL);
    buffer_clear(&out);
    finding_list_sort(&intake->findings);
    finding_list_format(&intake->findings, &out);
    intake_free(intake);
    buffer_append_byte(&out, '\0');
    return out.bytes;
}
