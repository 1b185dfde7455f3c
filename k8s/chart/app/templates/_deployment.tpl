{{- define "aether-app.deployment" -}}
{{- $v := index .Values "aether-app" -}}
{{- $name := include "aether-app.name" . -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "aether-app.labels" . | nindent 4 }}
spec:
  replicas: {{ $v.replicas }}
  {{- if $v.disruptionBudget }}
  strategy:
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  {{- end }}
  selector:
    matchLabels: { app: {{ $name }} }
  template:
    metadata:
      labels: { app: {{ $name }} }
      annotations:
        aether.dev/digest: {{ required "aether-app.release.digest is not set: name the release that new pods start with, as sha256:<64 hex>" $v.release.digest | quote }}
        aether.dev/artifact-url: {{ required "aether-app.release.url is not set: name where its artifact is" $v.release.url | quote }}
        {{- with $v.release.signature }}
        aether.dev/signature: {{ . | quote }}
        {{- end }}
        {{- with $v.release.commit }}
        aether.dev/build-commit: {{ . | quote }}
        {{- end }}
    spec: {{- include "aether-app.pod" . | nindent 6 }}
{{- end -}}
