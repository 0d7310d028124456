/* Compiles xDS resources into a plan, on the main thread. Incremental: each resource is compiled
 * when its bytes change (the caller tells), and plan_build puts the current parts together. */
#pragma once

#include "base/error.h"
#include "proxy/plan.h"

struct compiler;

struct compiler *compiler_new(void);
void compiler_free(struct compiler *compiler);

/* Takes one resource in. On false the error says which field and why, and the older version of this
 * name stays in force. bytes: serialized message of this type URL. */
bool compiler_set(struct compiler *compiler, struct text type_url, struct text name,
                  struct text bytes, struct error *error);
void compiler_remove(struct compiler *compiler, struct text type_url, struct text name);
/* Names that the resources taken so far refer to (RDS names of listeners, EDS names of
 * clusters). */
void compiler_each_wanted(struct compiler *compiler, void *owner,
                          void (*on_name)(void *owner, struct text type_url, struct text name));
/* Host names of STRICT_DNS clusters to resolve; answers come back through
 * compiler_set_addresses. */
void compiler_each_dns_name(struct compiler *compiler, void *owner,
                            void (*on_name)(void *owner, struct text hostname));
void compiler_set_addresses(struct compiler *compiler, struct text hostname,
                            const struct address *addresses, size_t count, bool failed);
/* A new plan of all current parts, with one reference. Cheap where little changed. */
struct plan *compiler_build(struct compiler *compiler);
/* What was ignored: unknown or unsupported fields, counted by message and field. */
void compiler_each_unsupported(struct compiler *compiler, void *owner,
                               void (*on_field)(void *owner, struct text where, uint64_t count));
