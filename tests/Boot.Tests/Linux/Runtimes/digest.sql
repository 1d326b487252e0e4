-- The same in SQL, for SQLite.
create table numbers (id integer primary key, value integer, word text);
with recursive step (id, value) as (select 1, 1 union all select id + 1, (value * 1664525 + 1013904223) & 4294967295 from step where id < 300000)
insert into numbers select id, value, 'w' || (value >> 14) from step;
create index words on numbers (word);
select count(distinct word), sum(value), max(word), total(value / (id + 0.5)) from numbers;
select sum(a.value & b.value), count(*) from numbers a join numbers b using (word) where a.id < b.id;
delete from numbers where id % 3 = 0;
pragma integrity_check;
select count(*), sum(length(word)), group_concat(word) from (select word from numbers order by word limit 5);
