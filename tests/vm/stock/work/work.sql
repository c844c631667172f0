-- SPDX-License-Identifier: Apache-2.0
create table if not exists t (id integer primary key, k int, v text);
insert into t(k, v) with recursive n(i) as (select 1 union all select i + 1 from n
	where i < 8000) select i * 7919 % 997, 'value ' || i || hex(i * i) from n;
create index if not exists tk on t(k);
select k, count(*), max(v) from t group by k having count(*) > 2 order by 3 limit 5;
select count(*) from t a join t b on a.k = b.id where a.v like '%7%3%';
with recursive f(d, s) as (select 1, 'x' union all select d + 1, s || d from f
	where d < 400) select max(length(s)) from f;
select sum(length(replace(upper(v), '1', 'one'))) from t where v glob '*[3-7]';
select k, v, row_number() over (partition by k order by v) r from t order by r desc limit 3;
delete from t;
