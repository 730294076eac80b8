from kmock.linux.genalloc import gen_pool_add, gen_pool_alloc, gen_pool_create, gen_pool_destroy

SRAM = 0xF000_0000


def program(k):
    pool = gen_pool_create(5, -1)
    gen_pool_add(pool, SRAM, 4096, -1)
    gen_pool_alloc(pool, 100)
    gen_pool_destroy(pool)  # here
