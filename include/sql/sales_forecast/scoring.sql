-- Scoring records of the sales forecast: the records of the next period, not yet sold.
--
-- Grain       that of training.sql: one record per event and day of sale on which the event is on sale.
-- Days        [next_period_start, next_period_end), UTC. A bound that is not midnight is cut to its day.
-- As of       the rule of training.sql. No sale and no listing at or after period_end is read.
-- Order       day, event.
-- Parameters  period_end, next_period_start, next_period_end: 'YYYY-MM-DD HH:MM:SS', UTC.
-- Columns     those of training.sql without totalsold. From the mark below to the end the text is that of
--             training.sql but for this column, and must stay so: one text can not compute two features.

with bounds as (
    select
        '{{ next_period_start }}'::timestamp::date as first_day,
        '{{ next_period_end }}'::timestamp::date as end_day,
        greatest(
            datediff(day, '{{ period_end }}'::timestamp::date, '{{ next_period_end }}'::timestamp::date) - 1,
            0
        )::integer as lag_days
),

-- From here on the text is equal in training.sql and scoring.sql.
calendar as (
    select
        cal.caldate,
        cal.day,
        cal.week,
        cal.month,
        cal.holiday
    from date as cal
    cross join bounds
    where
        cal.caldate >= dateadd(day, -28 - bounds.lag_days, bounds.first_day)
        and cal.caldate < bounds.end_day
),

-- Every event on its days of sale, and on the 28 + lag days before them, which the trailing sums need.
panel as (
    select
        event.eventid,
        event.catid,
        event.venueid,
        event.eventname,
        calendar.caldate,
        datediff(day, calendar.caldate, event.starttime::date) as days_left,
        min(calendar.caldate) over (partition by event.eventid) as first_panel_day
    from event
    cross join bounds
    inner join calendar
        on
            event.starttime::date >= calendar.caldate
            and event.starttime::date <= dateadd(day, 29 + 28 + bounds.lag_days, calendar.caldate)
),

panel_start as (
    select
        eventid,
        first_panel_day
    from panel
    group by eventid, first_panel_day
),

movements as (
    select
        eventid,
        saletime::date as moved_on,
        qtysold::integer as sold,
        0 as listed,
        0::decimal(12, 2) as listed_value
    from sales
    where saletime < '{{ period_end }}'::timestamp
    union all
    select
        eventid,
        listtime::date as moved_on,
        0 as sold,
        numtickets::integer as listed,
        (priceperticket * numtickets)::decimal(12, 2) as listed_value
    from listing
    where listtime < '{{ period_end }}'::timestamp
),

-- What moved before the panel is carried into the totals on its first day, "sold" leaves it out.
ledger as (
    select
        movements.eventid,
        greatest(movements.moved_on, panel_start.first_panel_day) as ledger_day,
        sum(
            case when movements.moved_on >= panel_start.first_panel_day then movements.sold else 0 end
        ) as sold,
        sum(movements.sold) as total_sold,
        sum(movements.listed) as total_listed,
        sum(movements.listed_value) as total_value
    from movements
    inner join panel_start on movements.eventid = panel_start.eventid
    group by movements.eventid, greatest(movements.moved_on, panel_start.first_panel_day)
),

event_days as (
    select
        panel.eventid,
        panel.catid,
        panel.venueid,
        panel.eventname,
        panel.caldate,
        panel.days_left,
        case when panel.days_left <= 29 then 1 else 0 end as on_sale,
        coalesce(ledger.sold, 0) as sold,
        coalesce(ledger.total_sold, 0) as total_sold,
        coalesce(ledger.total_listed, 0) as total_listed,
        coalesce(ledger.total_value, 0) as total_value
    from panel
    left join ledger on panel.eventid = ledger.eventid and panel.caldate = ledger.ledger_day
),

-- As of the start of caldate: every frame ends on the day before.
event_history as (
    select
        eventid,
        caldate as as_of,
        sum(sold) over (
            partition by eventid order by caldate rows between 1 preceding and 1 preceding
        ) as sold_1,
        sum(sold) over (
            partition by eventid order by caldate rows between 3 preceding and 1 preceding
        ) as sold_3,
        sum(sold) over (
            partition by eventid order by caldate rows between 7 preceding and 1 preceding
        ) as sold_7,
        sum(sold) over (
            partition by eventid order by caldate rows between 28 preceding and 1 preceding
        ) as sold_28,
        sum(total_sold) over (
            partition by eventid order by caldate rows between unbounded preceding and 1 preceding
        ) as sold_so_far,
        sum(total_listed) over (
            partition by eventid order by caldate rows between unbounded preceding and 1 preceding
        ) as listed_so_far,
        sum(total_value) over (
            partition by eventid order by caldate rows between unbounded preceding and 1 preceding
        ) as value_so_far
    from event_days
),

-- The same for all events of one category, of one venue, of one name (an act on tour).
extent_members as (
    select
        caldate,
        sold,
        on_sale,
        'category'::varchar(10) as extent,
        catid::varchar(200) as extent_key
    from event_days
    union all
    select
        caldate,
        sold,
        on_sale,
        'venue'::varchar(10) as extent,
        venueid::varchar(200) as extent_key
    from event_days
    union all
    select
        caldate,
        sold,
        on_sale,
        'act'::varchar(10) as extent,
        eventname::varchar(200) as extent_key
    from event_days
),

extent_sums as (
    select
        extent,
        extent_key,
        caldate,
        sum(sold * on_sale) as sold,
        sum(on_sale) as on_sale
    from extent_members
    group by extent, extent_key, caldate
),

extents as (
    select distinct
        extent,
        extent_key
    from extent_sums
),

-- A row for every day, so that a frame of seven rows is a week.
extent_days as (
    select
        extents.extent,
        extents.extent_key,
        calendar.caldate,
        coalesce(extent_sums.sold, 0) as sold,
        coalesce(extent_sums.on_sale, 0) as on_sale
    from extents
    cross join calendar
    left join extent_sums
        on
            extents.extent = extent_sums.extent
            and extents.extent_key = extent_sums.extent_key
            and calendar.caldate = extent_sums.caldate
),

extent_windows as (
    select
        extent,
        extent_key,
        caldate as as_of,
        sum(sold) over (
            partition by extent, extent_key order by caldate rows between 1 preceding and 1 preceding
        ) as sold_1,
        sum(on_sale) over (
            partition by extent, extent_key order by caldate rows between 1 preceding and 1 preceding
        ) as on_sale_1,
        sum(sold) over (
            partition by extent, extent_key order by caldate rows between 7 preceding and 1 preceding
        ) as sold_7,
        sum(on_sale) over (
            partition by extent, extent_key order by caldate rows between 7 preceding and 1 preceding
        ) as on_sale_7,
        sum(sold) over (
            partition by extent, extent_key order by caldate rows between 28 preceding and 1 preceding
        ) as sold_28,
        sum(on_sale) over (
            partition by extent, extent_key order by caldate rows between 28 preceding and 1 preceding
        ) as on_sale_28
    from extent_days
),

extent_history as (
    select
        extent,
        extent_key,
        as_of,
        (sold_1::double precision / nullif(on_sale_1, 0))::decimal(12, 4) as pace_1,
        (sold_7::double precision / nullif(on_sale_7, 0))::decimal(12, 4) as pace_7,
        (sold_28::double precision / nullif(on_sale_28, 0))::decimal(12, 4) as pace_28
    from extent_windows
),

records as (
    select
        event_days.eventid,
        event_days.caldate,
        event_days.days_left,
        event_days.sold,
        event_days.catid::varchar(200) as category_key,
        event_days.venueid::varchar(200) as venue_key,
        event_days.eventname::varchar(200) as act_key,
        dateadd(day, -bounds.lag_days, event_days.caldate)::date as as_of
    from event_days
    cross join bounds
    where event_days.on_sale = 1 and event_days.caldate >= bounds.first_day
)

select
    (records.eventid::varchar(10) || '-' || to_char(records.caldate, 'YYYYMMDD'))::varchar(20) as recordid,
    sale_day.day::char(2) as dayofweek,
    sale_day.month::char(3) as monthofyear,
    sale_day.week::smallint as weekofyear,
    sale_day.holiday::boolean as holiday,
    category.catgroup::varchar(10) as catgroup,
    category.catname::varchar(10) as catname,
    venue.venuename::varchar(100) as venuename,
    venue.venuecity::varchar(30) as venuecity,
    venue.venuestate::char(2) as venuestate,
    nullif(venue.venueseats, 0)::integer as venueseats,
    event.eventname::varchar(200) as eventname,
    event_day.day::char(2) as eventdayofweek,
    date_part(hour, event.starttime)::smallint as eventhour,
    event_day.holiday::boolean as eventholiday,
    records.days_left::smallint as daystoevent,
    coalesce(history.listed_so_far, 0)::integer as listedtickets,
    (history.value_so_far::double precision / nullif(history.listed_so_far, 0))::decimal(10, 2) as listprice,
    coalesce(history.sold_so_far, 0)::integer as soldsofar,
    coalesce(history.sold_1, 0)::integer as sold1,
    coalesce(history.sold_3, 0)::integer as sold3,
    coalesce(history.sold_7, 0)::integer as sold7,
    coalesce(history.sold_28, 0)::integer as sold28,
    act.pace_7 as actpace7,
    act.pace_28 as actpace28,
    in_category.pace_1 as categorypace1,
    in_category.pace_7 as categorypace7,
    in_venue.pace_28 as venuepace28
from records
inner join event on records.eventid = event.eventid
inner join category on event.catid = category.catid
inner join venue on event.venueid = venue.venueid
inner join calendar as sale_day on records.caldate = sale_day.caldate
left join date as event_day on event.dateid = event_day.dateid
left join event_history as history on records.eventid = history.eventid and records.as_of = history.as_of
left join extent_history as in_category
    on
        in_category.extent = 'category'
        and records.category_key = in_category.extent_key
        and records.as_of = in_category.as_of
left join extent_history as in_venue
    on
        in_venue.extent = 'venue'
        and records.venue_key = in_venue.extent_key
        and records.as_of = in_venue.as_of
left join extent_history as act
    on
        act.extent = 'act'
        and records.act_key = act.extent_key
        and records.as_of = act.as_of
order by records.caldate, records.eventid
