/* Reads /proc/self and the resource counters. */
#include "observe/process.h"

#include "base/clock.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static void read_memory(struct process_stats *stats)
{
    char bytes[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t size = read(fd, bytes, sizeof(bytes));
    close(fd);
    /* "total resident shared ...", in pages. */
    struct text rest = text_of(bytes, size > 0 ? (size_t)size : 0);
    struct text words[3];
    uint64_t resident, shared;
    if (text_split(&rest, ' ', &words[0]) && text_split(&rest, ' ', &words[1]) &&
        text_split(&rest, ' ', &words[2]) && text_parse_u64(words[1], UINT64_MAX, &resident) &&
        text_parse_u64(words[2], UINT64_MAX, &shared)) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        stats->rss_bytes = resident * page;
        stats->anonymous_bytes = resident > shared ? (resident - shared) * page : 0;
    }
}

static uint64_t count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) {
        return 0;
    }
    uint64_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count > 0 ? count - 1 : 0; /* without the folder's own */
}

static uint64_t time_ns(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

void process_read(struct process_stats *out_stats)
{
    *out_stats = (struct process_stats){ 0 };
    read_memory(out_stats);
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        out_stats->cpu_ns = time_ns(usage.ru_utime) + time_ns(usage.ru_stime);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        out_stats->max_fds = limit.rlim_cur;
    }
    out_stats->open_fds = count_fds();
}

static void on_read(void *owner)
{
    struct process_metrics *process = owner;
    struct process_stats stats;
    process_read(&stats);
    metric_set(process->rss, (int64_t)stats.rss_bytes);
    metric_set(process->cpu, (int64_t)stats.cpu_ns);
    metric_set(process->open_fds, (int64_t)stats.open_fds);
    metric_set(process->max_fds, (int64_t)stats.max_fds);
}

static struct metric_series *own_series(struct metrics *metrics,
                                        const struct metric_definition *definition)
{
    return metric_take(metric_register(metrics, definition), METRIC_MAIN, NULL);
}

void process_metrics_start(struct process_metrics *process, struct metrics *metrics)
{
    static const struct metric_definition rss = {
        METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory.", { NULL }, 0
    };
    static const struct metric_definition cpu = {
        METRIC_COUNTER_NS, "process_cpu_seconds_total", "User and system time.", { NULL }, 0
    };
    static const struct metric_definition open_fds = {
        METRIC_GAUGE, "process_open_fds", "Open descriptors.", { NULL }, 0
    };
    static const struct metric_definition max_fds = {
        METRIC_GAUGE, "process_max_fds", "Descriptors the process may open.", { NULL }, 0
    };
    static const struct metric_definition start = {
        METRIC_GAUGE, "process_start_time_seconds", "When it started, as Unix time.", { NULL }, 0
    };
    process->rss = own_series(metrics, &rss);
    process->cpu = own_series(metrics, &cpu);
    process->open_fds = own_series(metrics, &open_fds);
    process->max_fds = own_series(metrics, &max_fds);
    metric_set(own_series(metrics, &start), clock_wall_us() / 1000000);
    metrics_on_read(metrics, on_read, process);
}
