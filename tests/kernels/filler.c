/*
 * filler: fills the cgroup that it is in, memory that no process maps.
 *
 *   filler BOARD CHUNK MOST FILE...
 *
 * It writes CHUNK after CHUNK of bytes to a memfd: charged to the cgroup, and
 * in no process's RSS. Orders and answers stand on the board, a file that
 * both sides map, for at the limit whatever needs a page (a pipe does, and so
 * does a page that was never touched) would itself be refused or kill.
 *
 * The board is 8-byte integers: the number of the last order, that of the
 * last answer, why it stopped (1: somebody was killed, 2: memory is refused,
 * 3: it wrote MOST), bytes written, and before the last chunk the number in
 * each FILE.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ORDER, ANSWER, WHY, WROTE, FIRST_FILE };
enum { KILLED = 1, REFUSED = 2, ENOUGH = 3 };
#define BOARD_BYTES 4096
#define MOST_FILES 64

static char text[1 << 16];

static int opened(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

static long long number_in(int fd, const char *after)
{
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
	char *found;

	text[length > 0 ? length : 0] = 0;
	found = strstr(text, after);
	return found ? atoll(found + strlen(after)) : 0;
}

int main(int count, char **words)
{
	long long chunk = atoll(words[2]), most = atoll(words[3]), total = 0;
	int files[MOST_FILES], many = count - 4;
	int vmstat = opened("/proc/vmstat", O_RDONLY);
	int memory = memfd_create("filling", 0);
	volatile long long *board = mmap(NULL, BOARD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
					 opened(words[1], O_RDWR), 0);
	char *data = malloc(chunk);

	for (int i = 0; i < many; i++)
		files[i] = opened(words[4 + i], O_RDONLY);
	memset(data, 1, chunk);
	number_in(vmstat, "\noom_kill ");
	if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
		perror("mlockall");
		return 1;
	}
	for (;; board[ANSWER] = board[ORDER]) {
		long long before = number_in(vmstat, "\noom_kill "), start = total, why = 0;

		while (board[ANSWER] == board[ORDER])
			usleep(1000);
		while (!why) {
			ssize_t wrote;

			for (int i = 0; i < many; i++)
				board[FIRST_FILE + i] = number_in(files[i], "");
			wrote = write(memory, data, chunk);
			total += wrote > 0 ? wrote : 0;
			if (number_in(vmstat, "\noom_kill ") != before)
				why = KILLED;
			else if (wrote < 0)
				why = REFUSED;
			else if (total >= most)
				why = ENOUGH;
		}
		board[WHY] = why;
		board[WROTE] = total - start;
	}
}
