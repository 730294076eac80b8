def program(k):
    table = k.image.data(16, "table")
    table[15]
