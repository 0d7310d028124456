/* The pages every Weft process has. Registered by admin_new; each one's owner is the admin. */
#pragma once

#include "observe/admin.h"

struct page_slot {
    const struct page *page;
    void *owner;
};

/* What the built-in pages read of the admin. */
struct admin_view {
    struct admin_options options;
    const struct page_slot *pages;
    size_t page_count;
};

#define ADMIN_BUILT_IN_PAGES 8
extern const struct page admin_built_in_pages[ADMIN_BUILT_IN_PAGES];
