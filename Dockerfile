# One image for all services of docker-compose.yaml.
FROM python:3.12-slim-bookworm

RUN useradd --create-home --uid 50000 airflow \
    && mkdir -p /opt/airflow /opt/nightcast \
    && chown airflow: /opt/airflow /opt/nightcast
WORKDIR /opt/nightcast
COPY constraints.txt requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt psycopg2-binary asyncpg
USER airflow
ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/nightcast/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/nightcast/plugins \
    PYTHONPATH=/opt/nightcast/plugins
