/* From document trees to the structs of model.h, driven by tables: a struct shape says which
 * fields a map may have, a struct value what each may hold, a check what must hold between them.
 * Every problem is told in one pass as a finding of class REFUSED, with file, line and path.
 *
 * The tables are shape_*.c, the checks rules_*.c; this header is their vocabulary. */
#pragma once

#include "control/finding.h"
#include "control/model.h"
#include "control/node.h"
#include "control/pattern.h"

#include <stddef.h>

/* One object being decoded. */
struct decode {
    struct arena *arena;
    struct finding_list *findings;
    struct text file;
    struct text object;  /* "HTTPRoute/default/shop" */
    struct buffer path;  /* of the value at hand */
    bool is_secret;      /* values must not come into messages */
    size_t errors;
};

enum value_type {
    VALUE_TEXT,          /* struct text */
    VALUE_BOOL,          /* bool */
    VALUE_INT,           /* int32_t */
    VALUE_PORT,          /* uint16_t, 1-65535 */
    VALUE_WORD,          /* an enum: the index in words[] */
    VALUE_DURATION,      /* int64_t ms */
    VALUE_INT_OR_STRING, /* struct int_or_string */
    VALUE_STRUCT,        /* the shape's struct, in place */
    VALUE_OBJECT,        /* a pointer to the shape's struct */
    VALUE_LIST,          /* { items, count } of *item */
    VALUE_TEXT_MAP,      /* struct key_value_list */
    VALUE_DATA_MAP,      /* struct key_value_list, values are base64 */
    VALUE_IGNORED,       /* known to the API, of no use to Weft */
};

struct value {
    enum value_type type;
    enum pattern pattern;     /* TEXT, TEXT_MAP's values */
    enum pattern key_pattern; /* TEXT_MAP, DATA_MAP */
    int64_t min;              /* TEXT: characters; INT: number; LIST, maps: count */
    int64_t max;              /* 0 for TEXT, LIST and maps: no limit of their own */
    const char *const
        *words; /* WORD, or TEXT that must be one of them; NULL-ended, "" never fits */
    const struct shape *shape;
    const struct value *item;
    const char *unique; /* LIST: items differ in this field; "": the items themselves differ */
    bool unique_nocase;
    /* LIST: called with the { items, count } when all are decoded. */
    void (*check)(struct decode *decode, const struct node *node, const void *list);
};

enum field_flag {
    FIELD_REQUIRED = 1,
    FIELD_FILLED = 2, /* absent: an OBJECT or STRUCT of defaults, a LIST of one item of defaults */
};

struct field {
    const char *name;
    uint16_t offset;
    uint16_t has;             /* offset of its has_ flag plus 1; 0: none */
    uint8_t flags;
    const char *fallback;     /* of an absent TEXT */
    int32_t fallback_number;  /* of an absent INT or WORD */
    struct value value;
};

struct shape {
    size_t size;
    const struct field *fields;
    size_t count; /* at most 64 */
    /* Called when the struct's own fields are good: required pointers are set; a WORD deeper down
     * that was wrong is -1. */
    void (*check)(struct decode *decode, const struct node *node, const void *self);
};

#define AT(type, member)  offsetof(struct type, member)
#define HAS(type, member) (offsetof(struct type, has_##member) + 1)
#define SHAPE(type, list, checker)                                                                 \
    {                                                                                              \
        sizeof(struct type), list, sizeof(list) / sizeof((list)[0]), checker                       \
    }

/* How an object of a kind is written. */
struct kind_schema {
    const char *const *versions; /* NULL-ended, the preferred one first */
    const struct shape *shape;   /* of spec, or of the whole object where flat; NULL: no spec */
    bool flat;
    enum pattern name_pattern;
    const struct shape *alpha_shape; /* of its v1alpha versions, where it differs */
};

const struct kind_schema *kind_schema(enum object_kind kind);

/* Decodes `root` into the object, whose kind, place.file, key, arena and root are set. False:
 * refused (told). */
bool object_decode(struct object *object, struct finding_list *findings);

/* ---- for checks ------------------------------------------------------------------------------ */

/* An error about `sub` ("path.value", "[2].name" or "") below the value at hand, which `node`
 * holds. */
void decode_error(struct decode *decode, const struct node *node, const char *sub,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
void decode_warning(struct decode *decode, const struct node *node, const char *sub,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- shapes by kind (shape_*.c) -------------------------------------------------------------- */

extern const struct shape gateway_class_shape;
extern const struct shape gateway_shape;
extern const struct shape listener_set_shape;
extern const struct shape http_route_shape;
extern const struct shape grpc_route_shape;
extern const struct shape tls_route_shape;
extern const struct shape tls_route_alpha_shape;
extern const struct shape l4_route_shape;
extern const struct shape l4_route_alpha_shape;
extern const struct shape reference_grant_shape;
extern const struct shape backend_tls_policy_shape;
extern const struct shape x_backend_shape;
extern const struct shape namespace_shape;
extern const struct shape service_shape;
extern const struct shape endpoint_slice_shape;
extern const struct shape config_map_shape;
extern const struct shape secret_shape;

/* Shared between them (shape_parts.c). */
extern const struct shape certificate_ref_shape;   /* group "", kind Secret by default */
extern const struct shape local_ca_ref_shape;      /* group and kind required, no namespace */
extern const struct shape extension_ref_shape;     /* the same */
extern const struct shape session_persistence_shape;
extern const struct shape external_auth_shape;
extern const struct shape backend_object_ref_shape; /* of mirrors and external auth */
extern const struct shape backend_validation_shape;

/* Values of common types. */
#define GROUP_VALUE        { VALUE_TEXT, PATTERN_GROUP, .max = 253 }
#define KIND_VALUE         { VALUE_TEXT, PATTERN_KIND, .min = 1, .max = 63 }
#define NAMESPACE_VALUE    { VALUE_TEXT, PATTERN_DNS_LABEL, .min = 1, .max = 63 }
#define NAME_VALUE         { VALUE_TEXT, PATTERN_ANY, .min = 1, .max = 253 }
#define SECTION_NAME_VALUE { VALUE_TEXT, PATTERN_DNS_SUBDOMAIN, .min = 1, .max = 253 }
#define HEADER_NAME_VALUE  { VALUE_TEXT, PATTERN_HEADER_NAME, .min = 1, .max = 256 }
#define HOSTNAME_VALUE     { VALUE_TEXT, PATTERN_HOSTNAME, .min = 1, .max = 253 }
#define PRECISE_HOST_VALUE { VALUE_TEXT, PATTERN_PRECISE_HOSTNAME, .min = 1, .max = 253 }
#define LIST_VALUE(most, of) { VALUE_LIST, .max = (most), .item = (of) }
#define OBJECT_VALUE(of)   { VALUE_OBJECT, .shape = &(of) }
#define WORD_VALUE(list)   { VALUE_WORD, .words = (list) }
