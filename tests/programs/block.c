/* Takes a block and waits: for allocators that are not glibc's. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void) {
  memset(malloc(1000), 1, 1000);
  for (;;) pause();
}
