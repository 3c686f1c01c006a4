/* Takes and gives back memory as it is told, through malloc alone: for any allocator.

   Lines on standard input, each answered with "ready":
     m FIRST COUNT SIZE  allocates blocks and writes to all of each; a: does not write
     f FIRST COUNT STEP  frees every STEP-th
     c COUNT SIZE        allocates and frees a block so many times
     n THREADS           so many threads hold a block of 100 bytes each, and wait
     s MILLISECONDS      sleeps, and calls nothing
   With an argument huge pages are left to the allocator; else there are none. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SLOTS (1 << 16)

static void *slots[SLOTS];
static char out[1 << 12];

static void *hold(void *barrier)
{
	char *block = malloc(100);

	block[0] = 1;
	pthread_barrier_wait(barrier);
	for (;;)
		pause();
	return block;
}

static void threads(long count)
{
	static pthread_barrier_t started;
	pthread_attr_t small;
	pthread_t thread;

	pthread_barrier_init(&started, NULL, count + 1);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 1 << 16);
	for (long i = 0; i < count; i++)
		pthread_create(&thread, &small, hold, &started);
	pthread_barrier_wait(&started);
}

static void obey(char what, long first, long count, long more)
{
	switch (what) {
	case 'm':
	case 'a':
		for (long i = first; i < first + count; i++) {
			slots[i] = malloc(more);
			if (what == 'm' && slots[i])
				memset(slots[i], 1, more);
		}
		break;
	case 'f':
		for (long i = first; i < first + count; i += more) {
			free(slots[i]);
			slots[i] = NULL;
		}
		break;
	case 'c':
		for (long i = 0; i < first; i++) {
			void *volatile block = malloc(count);
			free(block);
		}
		break;
	case 'n':
		threads(first);
		break;
	case 's':
		usleep(first * 1000);
	}
}

int main(int argc, char **argv)
{
	char line[200], what;
	long first, count, more;

	(void)argv;
	setvbuf(stdout, out, _IOFBF, sizeof out);
	setvbuf(stdin, NULL, _IONBF, 0);
	if (argc < 2)
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	while (fgets(line, sizeof line, stdin)) {
		first = count = more = 0;
		sscanf(line, "%c %ld %ld %ld", &what, &first, &count, &more);
		obey(what, first, count, more);
		puts("ready");
		fflush(stdout);
	}
}
