/* A sound card for tests, without hardware, kernel module or daemon: an ALSA ioplug that moves at the pace of the
 * monotonic clock. What is played goes to a file and, as echo, back into the microphone.
 *
 * pcm.NAME { type pace  out "x.raw"  in "y.raw"  KNOB VALUE … }   files: s16le mono at `rate`
 *   rate HZ          of the files and the only rate it opens at (16000)
 *   echo_db DB       the microphone hears what is played at this level; absent: not at all
 *   latency_ms MS    … so much later (60)
 *   ppm N            its clock runs fast (positive) or slow by so many millionths
 *   xrun_every N     every N periods it reports EPIPE
 *   suspend_every N  every N periods it reports ESTRPIPE
 *   fail_open N      the first N attempts to open it fail with ENODEV
 *   die_after_ms MS  from the first opening in this process: ENODEV …
 *   back_after_ms MS … until then (absent: for ever)
 * The directions are opened apart; what they share is found by the name of `out`. */
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define RING (1 << 17) /* samples of what was played, by their moment: 8 s at 16 kHz */
#define CARDS 64

struct card { /* what both directions share */
    char key[256];
    int64_t first_open_ns;
    long opens;
    int16_t played[RING];
};

struct pace {
    snd_pcm_ioplug_t io;
    struct card *card;
    int timer, out, in;
    int16_t *mic;
    size_t mic_samples, mic_at;
    long rate, latency_ms, ppm, xrun_every, suspend_every, die_after_ms, back_after_ms;
    double echo;
    long periods;
    int64_t start_ns; /* 0: not running */
    snd_pcm_uframes_t moved; /* frames transferred since the start */
    snd_pcm_uframes_t last_hw;
};

static struct card cards[CARDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct card *card_of(const char *key) {
    struct card *found = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < CARDS && !found; ++i) {
        if (!cards[i].key[0]) snprintf(cards[i].key, sizeof cards[i].key, "%s", key);
        if (!strcmp(cards[i].key, key)) found = &cards[i];
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static int gone(const struct pace *p) {
    if (p->die_after_ms < 0 || !p->card->first_open_ns) return 0;
    const int64_t ms = (now_ns() - p->card->first_open_ns) / 1000000;
    return ms >= p->die_after_ms && (p->back_after_ms < 0 || ms < p->back_after_ms);
}

static double frames_per_ns(const struct pace *p) {
    return (double)p->rate * (1 + (double)p->ppm / 1e6) / 1e9;
}

static int64_t moment(const struct pace *p, snd_pcm_uframes_t frame) { /* index into card->played */
    return (int64_t)((double)p->start_ns * 1e-9 * (double)p->rate) + (int64_t)frame;
}

static int pace_start(snd_pcm_ioplug_t *io) {
    struct pace *p = io->private_data;
    const long period_ns = (long)((double)io->period_size / frames_per_ns(p));
    const struct itimerspec every = {{period_ns / 1000000000, period_ns % 1000000000},
                                     {period_ns / 1000000000, period_ns % 1000000000}};
    p->start_ns = now_ns();
    return timerfd_settime(p->timer, 0, &every, NULL) < 0 ? -errno : 0;
}

static int pace_stop(snd_pcm_ioplug_t *io) {
    struct pace *p = io->private_data;
    const struct itimerspec never = {{0, 0}, {0, 0}};
    p->start_ns = 0;
    timerfd_settime(p->timer, 0, &never, NULL);
    return 0;
}

static int pace_prepare(snd_pcm_ioplug_t *io) {
    struct pace *p = io->private_data;
    pace_stop(io);
    p->moved = p->last_hw = 0;
    /* poll(2) must find an event waiting, or a writer that waits for room never starts */
    if (io->stream == SND_PCM_STREAM_PLAYBACK) {
        const struct itimerspec soon = {{0, 1000000}, {0, 1000000}};
        timerfd_settime(p->timer, 0, &soon, NULL);
    }
    return gone(p) ? -ENODEV : 0;
}

static snd_pcm_sframes_t pace_pointer(snd_pcm_ioplug_t *io) {
    struct pace *p = io->private_data;
    if (gone(p)) return -ENODEV;
    if (!p->start_ns) return (snd_pcm_sframes_t)(p->last_hw % io->buffer_size);
    snd_pcm_uframes_t hw = (snd_pcm_uframes_t)((double)(now_ns() - p->start_ns) * frames_per_ns(p));
    if (io->stream == SND_PCM_STREAM_PLAYBACK) {
        if (hw > p->moved) {
            if (io->state != SND_PCM_STATE_DRAINING) return -EPIPE;
            hw = p->moved;
        }
    } else if (hw > p->moved + io->buffer_size) {
        return -EPIPE;
    }
    p->last_hw = hw;
    return (snd_pcm_sframes_t)(hw % io->buffer_size);
}

static snd_pcm_sframes_t pace_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                       snd_pcm_uframes_t offset, snd_pcm_uframes_t size) {
    struct pace *p = io->private_data;
    if (gone(p)) return -ENODEV;
    ++p->periods;
    if (p->xrun_every > 0 && p->periods % p->xrun_every == 0) return -EPIPE;
    if (p->suspend_every > 0 && p->periods % p->suspend_every == 0) return -ESTRPIPE;
    char *base = (char *)areas->addr + (areas->first + areas->step * offset) / 8;
    int16_t *samples = (int16_t *)base; /* interleaved, one channel */
    int64_t at;
    if (io->stream == SND_PCM_STREAM_PLAYBACK) {
        if (p->out >= 0 && write(p->out, samples, size * 2) < 0) return -EIO;
        /* before the start the first sample will be played about now */
        at = p->start_ns ? moment(p, p->moved) : (int64_t)((double)now_ns() * 1e-9 * (double)p->rate) + (int64_t)p->moved;
        pthread_mutex_lock(&lock);
        for (snd_pcm_uframes_t i = 0; i < size; ++i) p->card->played[(at + (int64_t)i) & (RING - 1)] = samples[i];
        pthread_mutex_unlock(&lock);
    } else {
        at = moment(p, p->moved) - p->latency_ms * p->rate / 1000;
        pthread_mutex_lock(&lock);
        for (snd_pcm_uframes_t i = 0; i < size; ++i) {
            double sample = p->mic_samples ? p->mic[p->mic_at] : 0;
            if (p->mic_samples) p->mic_at = (p->mic_at + 1) % p->mic_samples;
            int16_t *heard = &p->card->played[(at + (int64_t)i) & (RING - 1)];
            sample += p->echo * *heard;
            *heard = 0; /* or a stopped player would be heard again after a turn of the ring */
            samples[i] = (int16_t)fmax(-32768, fmin(32767, sample));
        }
        pthread_mutex_unlock(&lock);
    }
    p->moved += size;
    return (snd_pcm_sframes_t)size;
}

static int pace_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *pfd, unsigned nfds, unsigned short *revents) {
    struct pace *p = io->private_data;
    uint64_t ticks;
    (void)nfds;
    *revents = 0;
    if (!(pfd->revents & POLLIN)) return 0;
    if (read(p->timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) return -errno;
    *revents = gone(p) ? POLLERR : io->stream == SND_PCM_STREAM_PLAYBACK ? POLLOUT : POLLIN;
    return 0;
}

static int pace_close(snd_pcm_ioplug_t *io) {
    struct pace *p = io->private_data;
    if (p->timer >= 0) close(p->timer);
    if (p->out >= 0) close(p->out);
    if (p->in >= 0) close(p->in);
    free(p->mic);
    free(p);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = pace_start, .stop = pace_stop, .pointer = pace_pointer, .transfer = pace_transfer,
    .prepare = pace_prepare, .poll_revents = pace_poll_revents, .close = pace_close};

static int constrain(struct pace *p) {
    static const unsigned access[] = {SND_PCM_ACCESS_RW_INTERLEAVED}, formats[] = {SND_PCM_FORMAT_S16_LE};
    snd_pcm_ioplug_t *io = &p->io;
    int err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 1, access);
    if (err >= 0) err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, formats);
    if (err >= 0) err = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, 1, 1);
    if (err >= 0) err = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_RATE, (unsigned)p->rate, (unsigned)p->rate);
    if (err >= 0) err = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64, 65536);
    if (err >= 0) err = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 64);
    return err;
}

static int load_mic(struct pace *p, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return -errno;
    fseek(file, 0, SEEK_END);
    const long bytes = ftell(file);
    rewind(file);
    p->mic = malloc(bytes > 0 ? (size_t)bytes : 1);
    p->mic_samples = p->mic ? fread(p->mic, 2, (size_t)bytes / 2, file) : 0;
    fclose(file);
    return 0;
}

SND_PCM_PLUGIN_DEFINE_FUNC(pace) {
    (void)root;
    const char *out = NULL, *in = NULL;
    long echo_db = 1000, fail_open = 0;
    struct pace *p = calloc(1, sizeof *p);
    if (!p) return -ENOMEM;
    p->timer = p->out = p->in = -1;
    p->rate = 16000;
    p->latency_ms = 60;
    p->die_after_ms = p->back_after_ms = -1;
    const struct {
        const char *name;
        long *value;
    } knobs[] = {{"rate", &p->rate}, {"echo_db", &echo_db}, {"latency_ms", &p->latency_ms}, {"ppm", &p->ppm},
                 {"xrun_every", &p->xrun_every}, {"suspend_every", &p->suspend_every}, {"fail_open", &fail_open},
                 {"die_after_ms", &p->die_after_ms}, {"back_after_ms", &p->back_after_ms}};
    snd_config_iterator_t i, next;
    int err = 0;
    snd_config_for_each(i, next, conf) {
        snd_config_t *n = snd_config_iterator_entry(i);
        const char *id;
        int known = 0;
        if (snd_config_get_id(n, &id) < 0) continue;
        if (!strcmp(id, "comment") || !strcmp(id, "type") || !strcmp(id, "hint")) continue;
        if (!strcmp(id, "out")) known = snd_config_get_string(n, &out) >= 0;
        if (!strcmp(id, "in")) known = snd_config_get_string(n, &in) >= 0;
        for (size_t k = 0; k < sizeof knobs / sizeof *knobs; ++k)
            if (!strcmp(id, knobs[k].name)) known = snd_config_get_integer(n, knobs[k].value) >= 0;
        if (known) continue;
        SNDERR("pace: unknown or wrong field %s", id);
        err = -EINVAL;
    }
    p->card = card_of(out ? out : "");
    if (!err && !p->card) err = -ENOMEM;
    if (!err) {
        if (!p->card->first_open_ns) p->card->first_open_ns = now_ns();
        if (gone(p) || p->card->opens++ < fail_open) err = -ENODEV;
    }
    p->echo = echo_db > 200 ? 0 : pow(10, (double)echo_db / 20);
    if (!err && out && stream == SND_PCM_STREAM_PLAYBACK &&
        (p->out = open(out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) < 0)
        err = -errno;
    if (!err && in && stream == SND_PCM_STREAM_CAPTURE) err = load_mic(p, in);
    if (!err && (p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) < 0) err = -errno;
    p->io.version = SND_PCM_IOPLUG_VERSION;
    p->io.name = "paced test card";
    p->io.callback = &callbacks;
    p->io.private_data = p;
    p->io.mmap_rw = 0;
    p->io.poll_fd = p->timer;
    p->io.poll_events = POLLIN;
    if (!err) err = snd_pcm_ioplug_create(&p->io, name, stream, mode);
    if (err < 0) {
        pace_close(&p->io);
        return err;
    }
    if ((err = constrain(p)) < 0) {
        snd_pcm_ioplug_delete(&p->io);
        return err;
    }
    *pcmp = p->io.pcm;
    return 0;
}

SND_PCM_PLUGIN_SYMBOL(pace);
