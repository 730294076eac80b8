from kmock.linux.genalloc import gen_pool_add, gen_pool_alloc, gen_pool_create, gen_pool_destroy, gen_pool_free

FAST, SLOW = 0xF000_0000, 0xF100_0000


def program(k):
    fast, slow = gen_pool_create(5, -1), gen_pool_create(5, -1)
    gen_pool_add(fast, FAST, 4096, -1)
    gen_pool_add(slow, SLOW, 4096, -1)
    p, q = gen_pool_alloc(fast, 64), gen_pool_alloc(slow, 64)
    gen_pool_free(slow, q, 64)
    gen_pool_free(fast, p, 64)
    gen_pool_destroy(fast)
    gen_pool_destroy(slow)
