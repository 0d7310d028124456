/* Finding the page and deciding whether this surface may have it. */
#include "observe/admin.h"

#include "base/array.h"
#include "base/ensure.h"
#include "http/uri.h"
#include "observe/admin_pages.h"

#include <stdlib.h>

#define TEXT_PLAIN "text/plain; charset=utf-8"

struct admin {
    struct admin_view view; /* first: the built-in pages' owner */
    ARRAY_OF(struct page_slot) pages;
};

struct admin *admin_new(const struct admin_options *options)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    ensure(admin != NULL);
    admin->view.options = *options;
    for (size_t i = 0; i < ADMIN_BUILT_IN_PAGES; i++) {
        admin_add_page(admin, &admin_built_in_pages[i], &admin->view);
    }
    return admin;
}

void admin_free(struct admin *admin)
{
    array_free(&admin->pages);
    free(admin);
}

static const struct page_slot *find(const struct admin *admin, struct text path, struct text method)
{
    for (size_t i = 0; i < admin->pages.count; i++) {
        const struct page_slot *slot = &admin->pages.items[i];
        if (text_equal(path, text_from_string(slot->page->path)) &&
            text_equal(method, text_from_string(slot->page->method))) {
            return slot;
        }
    }
    return NULL;
}

void admin_add_page(struct admin *admin, const struct page *page, void *owner)
{
    const struct page_slot *slot =
        find(admin, text_from_string(page->path), text_from_string(page->method));
    if (slot) {
        admin->pages.items[slot - admin->pages.items] = (struct page_slot){ page, owner };
    } else {
        *array_add(&admin->pages) = (struct page_slot){ page, owner };
    }
    admin->view.pages = admin->pages.items;
    admin->view.page_count = admin->pages.count;
}

static bool is_seen(const struct page_slot *slot, enum admin_surface surface)
{
    return slot && (surface != ADMIN_METRICS || slot->page->is_public);
}

static struct admin_answer refuse(struct buffer *out, uint16_t status, const char *message)
{
    buffer_format(out, "%s\n", message);
    return (struct admin_answer){ .status = status, .content_type = TEXT_PLAIN };
}

static struct admin_answer refuse_change(struct admin *admin, struct buffer *out)
{
    const char *path = admin->view.options.socket_path;
    buffer_format(out,
                  "this port is read-only; changes go over the unix socket: "
                  "curl --unix-socket %s -X POST ...\n",
                  path ? path : "PATH");
    return (struct admin_answer){ .status = 403, .content_type = TEXT_PLAIN };
}

struct admin_answer admin_handle(struct admin *admin, const struct admin_request *request,
                                 struct buffer *out)
{
    bool is_head = text_equal(request->method, TEXT("HEAD"));
    const struct page_slot *get = find(admin, request->path, TEXT("GET"));
    const struct page_slot *post = find(admin, request->path, TEXT("POST"));
    if (!is_seen(get, request->surface) && !is_seen(post, request->surface)) {
        return refuse(out, 404, "no such page; / lists them");
    }
    const struct page_slot *slot = is_head ? get : find(admin, request->path, request->method);
    if (!is_seen(slot, request->surface)) {
        struct admin_answer answer = refuse(out, 405, "the method is not allowed here");
        answer.allow = !post ? "GET, HEAD" : !get ? "POST" : "GET, HEAD, POST";
        return answer;
    }
    if (slot == post && request->surface != ADMIN_SOCKET) {
        return refuse_change(admin, out);
    }
    uint16_t status = slot->page->on_render(slot->owner, request, out);
    return (struct admin_answer){ .status = status, .content_type = slot->page->content_type };
}

bool admin_query_find(struct text query, struct text name, char *into, size_t size,
                      struct text *out_value)
{
    struct text key, value;
    for (struct text rest = query; query_next(&rest, &key, &value);) {
        if (text_equal(key, name)) {
            return value.size <= size && query_decode(value, into, out_value);
        }
    }
    return false;
}
