#include "cli/top_command.h"

#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/control_client.h"
#include "cli/top_digest.h"
#include "cli/top_view.h"
#include "io/clock.h"

/* Between two looks. */
static const uint64_t interval_us = 1000000;

struct top {
    char              path[SETTINGS_SOURCES_PATH_SIZE];
    struct top_view   view;
    struct top_digest digest;
    json_t           *last; /* NULL: none yet */
    uint64_t          last_us;
    struct termios    before; /* of the terminal */
    bool              quit;
};

/* What the signal handler must know: one terminal per process. */
static volatile sig_atomic_t interrupted;

static void set_up_view(struct top *top);
static void top_command_read_size(struct top *top);
static int  look(struct top *top, struct error *error);
static int  run_once(struct top *top, bool json);
static int  run_json(struct top *top);
static int  run_screen(struct top *top);
static void enter_screen(struct top *top);
static void leave_screen(struct top *top);
static bool draw(struct top *top);
static void wait_for_key(struct top *top, uint64_t until_us);
static void on_key(struct top *top, char key);
static void top_command_print_json(const struct top *top);
static void on_signal(int signal_number);

int top_command(const struct options *options)
{
    static struct top top; /* too large for comfort on the stack */
    bool              json = (options->own & OPTIONS_OUTPUT) != 0;
    struct error      error;
    int               exit_status = control_client_path(options, top.path);
    struct sigaction  stop = {.sa_handler = on_signal};

    if (exit_status != EX_OK)
        return exit_status;
    set_up_view(&top);
    exit_status = look(&top, &error);
    if (exit_status != EX_OK)
        return cli_fail(exit_status, "%s", error.text);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    if ((options->own & OPTIONS_ONCE) != 0 || (!json && !isatty(STDOUT_FILENO)))
        exit_status = run_once(&top, json);
    else
        exit_status = json ? run_json(&top) : run_screen(&top);
    json_decref(top.last);
    return exit_status;
}

static void set_up_view(struct top *top)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool        is_dumb = term == NULL || strcmp(term, "dumb") == 0;

    setlocale(LC_CTYPE, "");
    top->view.is_ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0 || is_dumb;
    top->view.has_color =
        !is_dumb && isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0');
    top_command_read_size(top);
}

/* COLUMNS and LINES where there is no terminal to ask. */
static void top_command_read_size(struct top *top)
{
    const char    *columns = getenv("COLUMNS"), *lines = getenv("LINES");
    struct winsize size = {0};

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    if (size.ws_col == 0 && columns != NULL)
        size.ws_col = (unsigned short)strtoul(columns, NULL, 10);
    if (size.ws_row == 0 && lines != NULL)
        size.ws_row = (unsigned short)strtoul(lines, NULL, 10);
    top->view.width = size.ws_col == 0 ? 80 : size.ws_col < 20 ? 20 : size.ws_col;
    top->view.height = size.ws_row == 0 ? 24 : size.ws_row < 5 ? 5 : size.ws_row;
}

/* Ask, and compare with the answer before. As control_client_ask(). */
static int look(struct top *top, struct error *error)
{
    json_t  *now;
    int      exit_status = control_client_ask(top->path, "stats", &now, error);
    uint64_t now_us = clock_now_us();

    if (exit_status != EX_OK)
        return exit_status;
    if (top->last != NULL)
        top_digest_make(&top->digest, top->last, now, (double)(now_us - top->last_us) / 1e6);
    json_decref(top->last);
    top->last = now;
    top->last_us = now_us;
    return EX_OK;
}

static int run_once(struct top *top, bool json)
{
    struct error error;
    int          exit_status;

    wait_for_key(top, top->last_us + interval_us);
    if (interrupted)
        return EX_OK;
    exit_status = look(top, &error);
    if (exit_status != EX_OK)
        return cli_fail(exit_status, "%s", error.text);
    top->view.has_color = false;
    top_digest_sort(&top->digest, top->view.sort);
    if (json)
        top_command_print_json(top);
    else if (!draw(top))
        return cli_fail(EX_OSERR, "out of memory");
    return cli_finish();
}

static int run_json(struct top *top)
{
    struct error error;
    int          exit_status;

    for (;;) {
        wait_for_key(top, top->last_us + interval_us);
        if (interrupted)
            return EX_OK;
        exit_status = look(top, &error);
        if (exit_status != EX_OK)
            return cli_fail(exit_status, "%s", error.text);
        top_command_print_json(top);
        exit_status = cli_finish();
        if (exit_status != EX_OK)
            return exit_status;
    }
}

static int run_screen(struct top *top)
{
    struct error error;
    int          exit_status = EX_OK;
    bool         drawn = true;

    top->view.is_interactive = true;
    enter_screen(top);
    while (!top->quit && !interrupted && drawn && exit_status == EX_OK) {
        if (clock_now_us() >= top->last_us + interval_us && !top->view.is_paused)
            exit_status = look(top, &error);
        top_command_read_size(top);
        top_digest_sort(&top->digest, top->view.sort);
        drawn = exit_status == EX_OK && draw(top);
        wait_for_key(top, top->view.is_paused ? clock_now_us() + interval_us
                                              : top->last_us + interval_us);
    }
    leave_screen(top);
    if (exit_status != EX_OK)
        return cli_fail(exit_status, "%s", error.text);
    return drawn ? EX_OK : cli_fail(EX_OSERR, "out of memory");
}

/* Keys come one by one and are not shown; the screen before comes back at the end. */
static void enter_screen(struct top *top)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &top->before) == 0) {
        raw = top->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    fputs("\x1b[?1049h\x1b[?25l", stdout);
}

static void leave_screen(struct top *top)
{
    fputs("\x1b[?25h\x1b[?1049l", stdout);
    fflush(stdout);
    if (isatty(STDIN_FILENO))
        tcsetattr(STDIN_FILENO, TCSANOW, &top->before);
}

/* On the terminal over what is there, so that nothing flickers. False: out of memory. */
static bool draw(struct top *top)
{
    struct byte_buffer screen = {0};
    bool               is_whole = top_view_draw(&top->view, &top->digest, &screen) == STATUS_OK;
    struct bytes       rest = byte_buffer_bytes(&screen);

    if (is_whole && !top->view.is_interactive)
        fwrite(rest.data, 1, rest.size, stdout);
    if (is_whole && top->view.is_interactive) {
        fputs("\x1b[H", stdout);
        while (rest.size > 0) {
            const char *end = memchr(rest.data, '\n', rest.size);
            size_t      size = (size_t)(end - rest.data);

            fwrite(rest.data, 1, size, stdout);
            rest = bytes_skip(rest, size + 1);
            fputs(rest.size > 0 ? "\x1b[K\r\n" : "\x1b[K", stdout);
        }
        fputs("\x1b[J", stdout);
    }
    fflush(stdout);
    byte_buffer_done(&screen);
    return is_whole;
}

static void wait_for_key(struct top *top, uint64_t until_us)
{
    struct pollfd keys = {.fd = top->view.is_interactive ? STDIN_FILENO : -1, .events = POLLIN};
    uint64_t      now_us = clock_now_us();
    char          key;

    while (now_us < until_us && !interrupted) {
        if (poll(&keys, 1, (int)((until_us - now_us) / 1000) + 1) > 0) {
            if (read(STDIN_FILENO, &key, 1) == 1)
                on_key(top, key);
            else
                top->quit = true; /* nobody is at the keyboard any more */
            return;
        }
        now_us = clock_now_us();
    }
}

static void on_key(struct top *top, char key)
{
    switch (key) {
    case 'q':
        top->quit = true;
        break;
    case '?':
        top->view.shows_help = !top->view.shows_help;
        break;
    case 'p':
        top->view.is_paused = !top->view.is_paused;
        break;
    case 's':
        top->view.sort = (enum top_digest_sort)((top->view.sort + 1) % 3);
        break;
    default:
        break;
    }
}

static void top_command_print_json(const struct top *top)
{
    json_t *object = top_digest_json(&top->digest);

    if (object != NULL)
        json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(object);
    putchar('\n');
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}
