/* Whole objects: which shape a kind has in which versions, metadata, spec. */
#include "control/schema_parts.h"

#include "base/clock.h"

struct metadata {
    struct text name;
    struct text name_space;
    struct key_value_list labels;
    struct key_value_list annotations;
};

#define IGNORED(field_name) { .name = (field_name), .value = { VALUE_IGNORED } }

static const struct field metadata_fields[] = {
    { "name", AT(metadata, name), .flags = FIELD_REQUIRED,
      .value = { VALUE_TEXT, .min = 1, .max = 253 } },
    { "namespace", AT(metadata, name_space),
      .value = { VALUE_TEXT, PATTERN_DNS_LABEL, .min = 1, .max = 63 } },
    { "labels", AT(metadata, labels),
      .value = { VALUE_TEXT_MAP, PATTERN_LABEL_VALUE, PATTERN_LABEL_KEY } },
    { "annotations", AT(metadata, annotations),
      .value = { VALUE_TEXT_MAP, PATTERN_ANY, PATTERN_LABEL_KEY } },
    IGNORED("creationTimestamp"),
    IGNORED("generation"),
    IGNORED("resourceVersion"),
    IGNORED("uid"),
    IGNORED("ownerReferences"),
    IGNORED("managedFields"),
    IGNORED("finalizers"),
    IGNORED("generateName"),
    IGNORED("selfLink"),
    IGNORED("deletionTimestamp"),
    IGNORED("deletionGracePeriodSeconds"),
};
static const struct shape metadata_shape = SHAPE(metadata, metadata_fields, NULL);

static const char *const v1[] = { "v1", NULL };
static const char *const v1_v1beta1[] = { "v1", "v1beta1", NULL };
static const char *const v1_v1alpha2[] = { "v1", "v1alpha2", NULL };
static const char *const v1_v1alpha2_v1alpha3[] = { "v1", "v1alpha3", "v1alpha2", NULL };
static const char *const v1_v1alpha3[] = { "v1", "v1alpha3", NULL };
static const char *const v1alpha1[] = { "v1alpha1", NULL };

static const struct kind_schema schemas[KIND_COUNT] = {
    [KIND_GATEWAY_CLASS] = { v1_v1beta1, &gateway_class_shape, false, PATTERN_DNS_SUBDOMAIN },
    [KIND_GATEWAY] = { v1_v1beta1, &gateway_shape, false, PATTERN_DNS_SUBDOMAIN },
    [KIND_LISTENER_SET] = { v1, &listener_set_shape, false, PATTERN_DNS_SUBDOMAIN },
    [KIND_HTTP_ROUTE] = { v1_v1beta1, &http_route_shape, false, PATTERN_DNS_SUBDOMAIN },
    [KIND_GRPC_ROUTE] = { v1, &grpc_route_shape, false, PATTERN_DNS_SUBDOMAIN },
    [KIND_TLS_ROUTE] = { v1_v1alpha2_v1alpha3, &tls_route_shape, false, PATTERN_DNS_SUBDOMAIN,
                         &tls_route_alpha_shape },
    [KIND_TCP_ROUTE] = { v1_v1alpha2, &l4_route_shape, false, PATTERN_DNS_SUBDOMAIN,
                         &l4_route_alpha_shape },
    [KIND_UDP_ROUTE] = { v1_v1alpha2, &l4_route_shape, false, PATTERN_DNS_SUBDOMAIN,
                         &l4_route_alpha_shape },
    [KIND_REFERENCE_GRANT] = { v1_v1beta1, &reference_grant_shape, false, PATTERN_DNS_SUBDOMAIN },
    [KIND_BACKEND_TLS_POLICY] = { v1_v1alpha3, &backend_tls_policy_shape, false,
                                  PATTERN_DNS_SUBDOMAIN },
    [KIND_NAMESPACE] = { v1, &namespace_shape, true, PATTERN_DNS_LABEL },
    [KIND_SERVICE] = { v1, &service_shape, false, PATTERN_DNS_LABEL },
    [KIND_ENDPOINT_SLICE] = { v1, &endpoint_slice_shape, true, PATTERN_DNS_SUBDOMAIN },
    [KIND_CONFIG_MAP] = { v1, &config_map_shape, true, PATTERN_DNS_SUBDOMAIN },
    [KIND_SECRET] = { v1, &secret_shape, true, PATTERN_DNS_SUBDOMAIN },
    [KIND_X_BACKEND] = { v1alpha1, &x_backend_shape, false, PATTERN_DNS_SUBDOMAIN },
};

const struct kind_schema *kind_schema(enum object_kind kind)
{
    return &schemas[kind];
}

static void decode_creation(struct decode *decode, struct object *object,
                            const struct node *metadata)
{
    const struct node *node = node_find(metadata, TEXT("creationTimestamp"));
    if (node != NULL && node->kind != NODE_NULL &&
        (node->kind != NODE_STRING || !clock_parse_rfc3339(node->text, &object->creation_us))) {
        decode_error(decode, metadata, "creationTimestamp",
                     "is not a time; write it like 2026-01-02T03:04:05Z");
    }
}

static void decode_metadata(struct decode *decode, struct object *object)
{
    const struct kind_schema *schema = kind_schema(object->kind);
    const struct node *node = node_find(object->root, TEXT("metadata"));
    struct metadata metadata = { 0 };
    if (node == NULL) {
        decode_error(decode, object->root, "metadata", "is missing; add it with a name");
        return;
    }
    size_t before = decode_push(decode, "metadata");
    decode_fields(decode, &metadata_shape, node, &metadata);
    if (metadata.name.at != NULL && !pattern_matches(schema->name_pattern, metadata.name)) {
        decode_error(decode, node, "name", "\"%.*s\" is not valid; must be %s",
                     TEXT_ARG(decode_quoted(metadata.name)), pattern_words(schema->name_pattern));
    }
    if (metadata.name_space.at != NULL && !object_kind_is_namespaced(object->kind)) {
        decode_warning(decode, node, "namespace", "a %.*s belongs to no namespace; remove it",
                       TEXT_ARG(object->kind_text));
    }
    decode_creation(decode, object, node);
    decode->path.size = before;
    object->labels = metadata.labels;
    object->annotations = metadata.annotations;
}

static bool is_header_field(struct text name, bool flat)
{
    return text_equal(name, TEXT("apiVersion")) || text_equal(name, TEXT("kind")) ||
           text_equal(name, TEXT("metadata")) ||
           text_equal(name, TEXT("status")) || (!flat && text_equal(name, TEXT("spec")));
}

/* The root without what every object has. */
static struct node flat_part(struct decode *decode, const struct node *root)
{
    struct node part = *root;
    part.map.entries = arena_new_array(decode->arena, struct node_entry, root->map.count);
    part.map.count = 0;
    for (size_t i = 0; i < root->map.count; i++) {
        if (!is_header_field(root->map.entries[i].key.text, true)) {
            part.map.entries[part.map.count++] = root->map.entries[i];
        }
    }
    return part;
}

static void decode_spec(struct decode *decode, struct object *object)
{
    const struct kind_schema *schema = kind_schema(object->kind);
    const struct node *root = object->root;
    bool alpha = text_find(object->api_version, TEXT("/v1alpha")) < object->api_version.size;
    const struct shape *shape = alpha && schema->alpha_shape ? schema->alpha_shape : schema->shape;
    object->spec = arena_alloc(decode->arena, shape->size);
    if (schema->flat) {
        struct node part = flat_part(decode, root);
        decode_fields(decode, shape, &part, object->spec);
        return;
    }
    static const char *const known[] = { "apiVersion", "kind", "metadata", "spec", "status", NULL };
    const struct node *spec = NULL;
    for (size_t i = 0; i < root->map.count; i++) {
        const struct node_entry *entry = &root->map.entries[i];
        if (text_equal(entry->key.text, TEXT("spec"))) {
            spec = &entry->value;
        } else if (!is_header_field(entry->key.text, false)) {
            size_t before = decode_push_key(decode, entry->key.text);
            const char *near = word_nearest(entry->key.text, known);
            decode_wrong(decode, &entry->key, "unknown field; %s%s%s",
                  near ? "did you mean \"" : "does it belong into spec?", near ? near : "",
                  near ? "\"?" : "");
            decode->path.size = before;
        }
    }
    if (spec == NULL || spec->kind == NODE_NULL) {
        decode_error(decode, root, "spec", "is missing; add it");
        return;
    }
    size_t before = decode_push(decode, "spec");
    decode_fields(decode, shape, spec, object->spec);
    decode->path.size = before;
}

bool object_decode(struct object *object, struct finding_list *findings)
{
    struct decode decode = {
        .arena = &object->arena,
        .findings = findings,
        .file = object->place.file,
        .object = object->key,
        .is_secret = object->kind == KIND_SECRET,
    };
    buffer_init(&decode.path);
    decode_metadata(&decode, object);
    decode_spec(&decode, object);
    object->status = node_find(object->root, TEXT("status"));
    buffer_fini(&decode.path);
    return decode.errors == 0;
}
