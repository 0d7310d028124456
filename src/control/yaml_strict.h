/* What YAML forbids and libyaml reads all the same: comments without a blank before them, lines
 * inside brackets and quotes that are not indented, misplaced directives, "-" alone as a flow item.
 * Another reader of the same file may see something else there, so it is refused. */
#pragma once

#include "base/text.h"
#include "control/node.h"

#include <yaml.h>

struct yaml_strict {
    struct text bytes;
    const char *at; /* the place last looked for: never goes back */
    size_t line;    /* of it, from 0 */
    size_t column;  /* of it, in characters from 0 */
    const char *gap;      /* end of the last event; NULL before the first */
    size_t gap_line;
    struct {
        bool flow;
        long indent; /* of the block it is, or stands in; -1: none */
    } open[DOCUMENT_DEPTH_MAX + 1];
    size_t depth;
    bool no_directives; /* the last document was not ended by "..." */
};

void yaml_strict_init(struct yaml_strict *strict, struct text bytes);
/* The next event. NULL, or what is wrong, on *out_line. */
const char *yaml_strict_check(struct yaml_strict *strict, const yaml_event_t *event,
                              uint32_t *out_line);
