-- What was sold: the truth to compare with the predictions that the run before made for this period.
--
-- Grain       that of training.sql: one record per event and day of sale on which the event is on sale,
--             days without a sale included.
-- Days        [period_start, period_end), UTC. A bound that is not midnight is cut to its day.
-- Order       day, event: that of the predictions.
-- Parameters  period_start, period_end: 'YYYY-MM-DD HH:MM:SS', UTC.
-- Columns     recordid        'eventid-YYYYMMDD', joins with the tag of a prediction
--             totalsold       tickets of this event sold on the day

with bounds as (
    select
        '{{ period_start }}'::timestamp::date as first_day,
        '{{ period_end }}'::timestamp::date as end_day
),

day_sales as (
    select
        sales.eventid,
        sales.saletime::date as sold_on,
        sum(sales.qtysold) as sold
    from sales
    cross join bounds
    where sales.saletime >= bounds.first_day and sales.saletime < bounds.end_day
    group by sales.eventid, sales.saletime::date
)

select
    (event.eventid::varchar(10) || '-' || to_char(cal.caldate, 'YYYYMMDD'))::varchar(20) as recordid,
    coalesce(day_sales.sold, 0)::integer as totalsold
from bounds
inner join date as cal on bounds.first_day <= cal.caldate and bounds.end_day > cal.caldate
inner join event
    on
        cal.caldate <= event.starttime::date
        and dateadd(day, 29, cal.caldate) >= event.starttime::date
inner join category on event.catid = category.catid
inner join venue on event.venueid = venue.venueid
left join day_sales on event.eventid = day_sales.eventid and cal.caldate = day_sales.sold_on
order by cal.caldate, event.eventid
