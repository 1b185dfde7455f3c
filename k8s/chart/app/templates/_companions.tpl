{{- define "aether-app.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "aether-app.name" . }}
  labels: {{- include "aether-app.labels" . | nindent 4 }}
spec:
  selector: { app: {{ include "aether-app.name" . }} }
  ports:
    - name: http
      port: 80
      targetPort: http
{{- end -}}

{{/* What the modes watch and poll need: an account of the app's own, bound to the one role. */}}
{{- define "aether-app.rbac" -}}
{{- $v := index .Values "aether-app" -}}
{{- $name := include "aether-app.name" . -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels: {{- include "aether-app.labels" . | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}-aether-dev-hot
  labels: {{- include "aether-app.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: aether-dev-hot
subjects:
  - kind: ServiceAccount
    name: {{ $name }}
{{- if $v.followRole }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: aether-dev-hot
  labels: {{- include "aether-app.labels" . | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [pods]
    verbs: [get, list, watch]
{{- end }}
{{- if $v.events }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}-aether-events
  labels: {{- include "aether-app.labels" . | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [events]
    verbs: [create]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}-aether-events
  labels: {{- include "aether-app.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}-aether-events
subjects:
  - kind: ServiceAccount
    name: {{ $name }}
{{- end }}
{{- end -}}

{{- define "aether-app.disruption-budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "aether-app.name" . }}
  labels: {{- include "aether-app.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: { app: {{ include "aether-app.name" . }} }
{{- end -}}

{{/* k8s/overlays/production/network-policy.yaml says why. */}}
{{- define "aether-app.network-policy" -}}
{{- $v := index .Values "aether-app" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "aether-app.name" . }}
  labels: {{- include "aether-app.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: { app: {{ include "aether-app.name" . }} }
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        - { port: {{ $v.port }} }
    - from:
        - namespaceSelector:
            matchLabels: { kubernetes.io/metadata.name: {{ $v.networkPolicy.metricsFrom }} }
      ports:
        - { port: 19464 }
        - { port: 19465 }
  egress:
    - to:
        - namespaceSelector:
            matchLabels: { kubernetes.io/metadata.name: kube-system }
      ports:
        - { port: 53, protocol: UDP }
        - { port: 53 }
    - to:
        - ipBlock: { cidr: 0.0.0.0/0, except: [169.254.0.0/16] }
        - ipBlock: { cidr: "::/0", except: ["fe80::/10", "fd00:ec2::/32"] }
      ports:
        - { port: 443 }
        - { port: 6443 }
    - to:
        - namespaceSelector: {}
          podSelector:
            matchLabels: { app: aether-control }
      ports:
        - { port: 8480 }
{{- end -}}
