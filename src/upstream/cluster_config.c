/* Reference counts of cluster_config, and the process-wide table of cluster ids. */
#include "upstream/cluster_config.h"

#include "base/ensure.h"
#include "base/map.h"

static struct map ids; /* name -> id + 1 */
static struct arena names;

struct cluster_config *cluster_config_ref(struct cluster_config *config)
{
    uint32_t before = atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    ensure(before > 0 && before < UINT32_MAX);
    return config;
}

void cluster_config_unref(struct cluster_config *config)
{
    if (config == NULL) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel);
    ensure(before > 0);
    if (before == 1) {
        struct arena arena = config->arena; /* the config lives in it */
        arena_fini(&arena);
    }
}

uint32_t cluster_id_of(struct text name)
{
    uintptr_t known = (uintptr_t)map_find(&ids, name);
    if (known != 0) {
        return (uint32_t)(known - 1);
    }
    if (ids.count >= CLUSTER_NAMES_MAX) {
        return UINT32_MAX;
    }
    uint32_t id = (uint32_t)ids.count;
    map_put(&ids, arena_copy(&names, name), (void *)((uintptr_t)id + 1));
    return id;
}

uint32_t cluster_id_limit(void)
{
    return (uint32_t)ids.count;
}
