# FinWise for a site: one process that answers the network. See docs/operations.md.

# --- the browser's app
FROM node:24-bookworm-slim AS app
WORKDIR /frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

# --- what FinWise runs on, exactly as it is pinned
FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.txt

# --- the image
FROM python:3.11-slim-bookworm
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FINWISE_ENV=production \
    FINWISE_STATE_DIR=/tmp/finwise
WORKDIR /app
COPY --from=packages /venv /venv
COPY manage.py pyproject.toml ./
COPY finwise ./finwise
COPY tenants ./tenants
COPY accounts ./accounts
COPY syncapp ./syncapp
COPY templates ./templates
COPY --from=app /frontend/dist ./frontend/dist
# The key is needed to read the settings, and for nothing that is kept.
RUN FINWISE_SECRET_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(64))') \
    FINWISE_HOSTS=build.invalid FINWISE_EMAIL_URL=dummymail:// \
    python manage.py collectstatic --no-input --verbosity 0 \
    && python -m compileall -q finwise tenants accounts syncapp
# Nobody in particular, and nothing here is theirs to write.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8000/health/ready', headers={'Host': os.environ['FINWISE_HOSTS'].split(',')[0]}))"]
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0", "--port", "8000"]
