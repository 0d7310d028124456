/* A section of field lines, of a head or of trailers (RFC 9112 section 5): what h1_head.c and
 * h1_body.c share. Strictly left to right: each decision depends only on bytes up to a fixed place,
 * and an earlier place decides first, so any cut of the input gives the same result. */
#pragma once

#include "http/h1.h"

/* Which ids were met, as sets of 1 << id. */
struct h1_seen {
    uint64_t once;
    uint64_t again; /* more than once */
};

static inline bool h1_seen_has(uint64_t set, enum field_id id)
{
    return set >> id & 1;
}

/* Reads from span[begin] to the empty line behind the fields. `section` is zero at first and kept
 * between calls. On H1_DONE *out_end is the offset behind the section; on H1_REFUSED *out_reason is
 * set. limits->head counts from begin, the empty line apart. */
enum h1_result h1_section_read(struct h1_section *section, const struct h1_limits *limits,
                               const char *span, size_t begin, size_t size,
                               struct fields *out_fields, struct h1_seen *out_seen, size_t *out_end,
                               enum h1_reason *out_reason);

/* Why a byte that is not allowed where it stands is refused: line ends and NUL have reasons of
 * their own, all else is `otherwise`. A CR needs the byte behind it: H1_MORE while that is missing.
 */
enum h1_result h1_refuse_byte(const char *at, const char *end, enum h1_reason otherwise,
                              enum h1_reason *out_reason);
