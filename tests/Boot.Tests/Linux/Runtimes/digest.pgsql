-- The same for PostgreSQL.
create table numbers as select id, (id * 1664525::bigint + 1013904223) & 4294967295 as value, 'w' || (((id * 1664525::bigint + 1013904223) & 4294967295) >> 14) as word from generate_series(1, 200000) id;
create index words on numbers (word);
analyze numbers;
select count(distinct word), sum(value), max(word) from numbers;
select sum(a.value & b.value), count(*) from numbers a join numbers b using (word) where a.id < b.id;
delete from numbers where id % 3 = 0;
vacuum numbers;
select md5(string_agg(word, ',' order by word, id)), sum(sqrt(value)::numeric(20, 6)) from numbers;
