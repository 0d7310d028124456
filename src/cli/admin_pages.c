/* Admin pages about configuration: status, findings, xDS resources, explain. The surfaces they are
 * shown on are observe's business. */
#include "cli/explain.h"
#include "cli/runtime.h"
#include "cli/xds_dump.h"

static uint16_t on_status(void *owner, const struct admin_request *request, struct buffer *out)
{
    struct runtime *runtime = owner;
    char form[16];
    struct text value = TEXT("json");
    admin_query_find(request->query, TEXT("output"), form, sizeof(form), &value);
    return control_plane_write_status(&runtime->control, value, out) ? 200 : 503;
}

static uint16_t on_findings(void *owner, const struct admin_request *request, struct buffer *out)
{
    struct runtime *runtime = owner;
    control_plane_write_findings(&runtime->control, true, out);
    return 200;
}

static uint16_t on_xds(void *owner, const struct admin_request *request, struct buffer *out)
{
    struct runtime *runtime = owner;
    xds_dump_write(runtime->control.server, out);
    return 200;
}

static uint16_t on_unsupported(void *owner, const struct admin_request *request, struct buffer *out)
{
    struct runtime *runtime = owner;
    data_plane_write_unsupported(&runtime->data, out);
    return 200;
}

static uint16_t on_explain(void *owner, const struct admin_request *request, struct buffer *out)
{
    struct runtime *runtime = owner;
    struct explain_subject subject = { .plan = runtime->data.plan,
                                       .find_origin = control_plane_find_origin,
                                       .owner = &runtime->control };
    return explain_page(&subject, request, out);
}

static const struct page pages[] = {
    { "/status", "GET", "application/json", "status of all objects (?output=json|yaml|table)",
      false, on_status },
    { "/findings", "GET", "application/json", "what is wrong with the configuration", false,
      on_findings },
    { "/xds", "GET", "application/json", "the xDS resources in force", false, on_xds },
    { "/unsupported", "GET", "text/plain", "fields of xDS resources that are ignored", false,
      on_unsupported },
    { "/explain", "GET", "application/json", "what a request would meet (?request=GET+URL&header=)",
      false, on_explain },
};

void admin_pages_register(struct runtime *runtime)
{
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        admin_add_page(runtime->admin, &pages[i], runtime);
    }
}
