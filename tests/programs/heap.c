/* Allocates as it is told, then says what glibc says of its heap.

   Lines on standard input: "THREAD WHAT SLOT SIZE [MORE]"; every slot holds one block.
     m malloc, c calloc, r realloc, a memalign (MORE: alignment), f free, w write all of it
     M SIZE blocks of MORE bytes in slots from SLOT on, F free every MORE-th of SIZE slots
     t malloc_trim(SIZE), s sbrk(SIZE) behind malloc's back, b block the break by a mapping
     o mallopt(SLOT, SIZE)
     p map SIZE bytes of nothing, and touch a page in the middle
     q say the figures and "ready"
     l loop over the following malloc and free for ever (to be read while it moves)
   Nothing here allocates but what it was told: output goes through static buffers. */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SLOTS 262144
#ifndef THREADS
#define THREADS 8
#endif

static void *slots[SLOTS];
static char input[1 << 16], out[1 << 16];
static struct op { char what; long slot, size, more; } op;
static sem_t begin[THREADS], done;
static pthread_t threads[THREADS];

static void busy(void) {
  unsigned seed = 1;
  for (;;) {
    seed = seed * 1103515245 + 12345;
    long slot = (seed >> 8) % 4096;
    free(slots[slot]);
    slots[slot] = malloc(seed >> 18);
  }
}

static void run(void) {
  void **slot = &slots[op.slot % SLOTS];
  switch (op.what) {
  case 'm': *slot = malloc(op.size); break;
  case 'c': *slot = calloc(1, op.size); break;
  case 'r': *slot = realloc(*slot, op.size); break;
  case 'a': *slot = memalign(op.more, op.size); break;
  case 'f': free(*slot); *slot = NULL; break;
  case 'w': memset(*slot, 1, malloc_usable_size(*slot)); break;
  case 'M': for (long i = 0; i < op.size; i++) slot[i] = malloc(op.more); break;
  case 'F': for (long i = 0; i < op.size; i += op.more) { free(slot[i]); slot[i] = NULL; } break;
  case 't': malloc_trim(op.size); break;
  case 's': {
    void *taken = sbrk(op.size);
    if (taken != (void *)-1) memset(taken, 0x21, op.size);
    break;
  }
  case 'b':
    mmap((void *)(((uintptr_t)sbrk(0) + 4095) & ~4095ul), 4096, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    break;
  case 'p': {
    char *mapped = mmap(NULL, op.size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped != MAP_FAILED) mapped[op.size / 2] = 1;
    break;
  }
  case 'o': mallopt(op.slot, op.size); break;
  case 'l': busy();
  }
}

static void *worker(void *argument) {
  long number = (long)argument;
  for (;;) {
    sem_wait(&begin[number]);
    run();
    sem_post(&done);
  }
  return NULL;
}

static void say(void) {
#ifdef OLD_MALLINFO
  struct mallinfo m = mallinfo();
#define F "%d"
#else
  struct mallinfo2 m = mallinfo2();
#define F "%zu"
#endif
  printf("arena " F "\nordblks " F "\nsmblks " F "\nhblks " F "\nhblkhd " F "\nusmblks " F "\n"
         "fsmblks " F "\nuordblks " F "\nfordblks " F "\nkeepcost " F "\n",
         m.arena, m.ordblks, m.smblks, m.hblks, m.hblkhd, m.usmblks, m.fsmblks, m.uordblks,
         m.fordblks, m.keepcost);
  malloc_info(0, stdout);
  printf("ready\n");
  fflush(stdout);
}

static void obey(char *line) {
  char *at = line;
  long thread = strtol(at, &at, 10);
  op.what = *++at;
  op.slot = strtol(at + 1, &at, 10);
  op.size = strtol(at, &at, 10);
  op.more = strtol(at, &at, 10);
  if (op.what == 'q') {
    say();
  } else if (thread == 0) {
    run();
  } else {
    if (!threads[thread]) {
      sem_init(&begin[thread], 0, 0);
      pthread_create(&threads[thread], NULL, worker, (void *)thread);
    }
    sem_post(&begin[thread]);
    if (op.what != 'l') sem_wait(&done);
  }
}

int main(void) {
  setvbuf(stdout, out, _IOFBF, sizeof out);
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* Yama: a sibling may read us, too */
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* what is in memory must not depend on huge pages */
  sem_init(&done, 0, 0);
  size_t kept = 0;
  for (;;) {
    ssize_t got = read(0, input + kept, sizeof input - 1 - kept);
    if (got <= 0) return 0;
    kept += got;
    input[kept] = 0;
    char *line = input, *end;
    while ((end = strchr(line, '\n'))) {
      *end = 0;
      obey(line);
      line = end + 1;
    }
    kept -= line - input;
    memmove(input, line, kept);
  }
}
